"""Which release of OHIF is served, where it lies, and at which addresses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pacs_web import config

PACKAGE = "@ohif/app"
VERSION = "3.12.10"
INTEGRITY = (  # as the registry states it: a digest in base 64
    "sha512-0kuF66Mq9c9dMD++bUsTjMrJpXJwaZhz9B4uS244DawA"
    "jSkTwIYFU93pxPuRUQixaRi7QAHlF3Fe1qudBlZrmA=="
)
RECIPE = 2  # raise it with every change of what `install/` does to the package
NAME = f"ohif-{VERSION}-recipe-{RECIPE}"
ROOT = "/viewer/"
FILES = f"{ROOT}files/{NAME}/"  # a new release or recipe has new addresses: all may be kept
MANIFEST = "release.json"


@dataclass(frozen=True)
class Release:
    """An installed release: its folder, and the entry files that a page names."""

    folder: Path
    script: str
    style: str


def release_dir() -> Path:
    """Return the folder of exactly this release, made by exactly this recipe."""
    return config.VIEWER_DIR / NAME


def installed_release() -> Release | None:
    """Return the installed release, or None; a folder without its manifest is none."""
    manifest = release_dir() / MANIFEST
    try:
        changed_at = manifest.stat().st_mtime_ns
    except OSError:
        return None
    return _read(manifest, changed_at)


@lru_cache(maxsize=1)
def _read(manifest: Path, changed_at: int) -> Release:
    entries = json.loads(manifest.read_text(encoding="utf-8"))
    return Release(manifest.parent, entries["script"], entries["style"])
