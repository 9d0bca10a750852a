"""A sample day on disk, made once by the product's own command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pydicom.config
import pytest

from tests.support.roles import ROOT

MANAGE = str(ROOT / "manage.py")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # real files lie


@pytest.fixture(scope="session")
def sample_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Fréjus day: DIR/CT, DIR/RF, DIR/CR."""
    folder = tmp_path_factory.mktemp("day")
    subprocess.run(
        [sys.executable, MANAGE, "node", "sample-day", "--out", str(folder), "--scale", "0.03"],
        check=True,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "PACS_DATA_DIR": str(tmp_path_factory.mktemp("maker"))},
    )
    return folder
