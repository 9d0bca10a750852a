"""The architecture holds: who may import whom is a contract (pyproject.toml), and it is kept."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"


def lint(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT_IMPORTS), "--no-logo", "--no-cache", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_import_contract_is_kept():
    done = lint()
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_layer_contract_names_every_module_of_its_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layered = [c for c in settings["contracts"] if c["type"] == "layers"]
    assert all(contract["exhaustive"] for contract in layered)
    assert {package for contract in layered for package in contract["containers"]} == {
        "pacs_common",
        "dicom_node",
        "dicom_node.dimse",
        "archive_node",
        "pacs_web",
    }


@pytest.mark.parametrize(
    ("kept", "broken"),
    [
        ('allowed_importers = ["dicom_node.dimse"]', 'allowed_importers = ["dicom_node.api"]'),
        ('allowed_importers = ["archive_node"]', 'allowed_importers = ["pacs_web"]'),
        ('source_modules = ["pacs_common"]', 'source_modules = ["pacs_web"]'),
    ],
)
def test_a_contract_that_the_code_does_not_keep_is_found(tmp_path, kept, broken):
    text = (ROOT / "pyproject.toml").read_text()
    assert kept in text
    (tmp_path / "wrong.toml").write_text(text.replace(kept, broken))
    assert lint("--config", str(tmp_path / "wrong.toml")).returncode != 0


def test_the_shared_language_starts_without_any_framework():
    code = (
        "import pkgutil, importlib, sys, pacs_common\n"
        "for m in pkgutil.iter_modules(pacs_common.__path__):\n"
        "    importlib.import_module(f'pacs_common.{m.name}')\n"
        "print(sorted({'django', 'celery', 'kombu', 'pynetdicom', 'pydicom'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
