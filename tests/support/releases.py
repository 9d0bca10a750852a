"""Releases of this tree as `deploy/install.sh` is given them, as they are or changed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support.roles import ROOT

RELEASED = (
    *("manage.py", "pyproject.toml", "requirements.txt", "LICENSE", "README.md", "CHANGELOG.md"),
    *("pacs_common", "dicom_node", "archive_node", "pacs_web", "deploy", "docs"),
)


def release(folder: Path, changed: Mapping[str, str] | None = None) -> Path:
    """Lay a release of this tree in a folder; each text of `changed` is appended to its file."""
    folder.mkdir(parents=True)
    for name in RELEASED:
        source = ROOT / name
        if source.is_dir():
            left_out = shutil.ignore_patterns("__pycache__", "secrets")
            shutil.copytree(source, folder / name, ignore=left_out)
        else:
            shutil.copy(source, folder / name)
    for name, text in (changed or {}).items():
        with (folder / name).open("a") as file:
            file.write(text)
    return folder
