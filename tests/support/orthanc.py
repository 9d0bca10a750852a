"""Debian's Orthanc beside a test, with its DICOMweb plug-in; a skip that says what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import peers
from tests.support.services import require


@contextmanager
def orthanc_on_the_web(folder: Path, **settings: Any) -> Iterator[peers.Peer]:
    """Run Orthanc: its DICOM port, and DICOMweb at `http://127.0.0.1:<http_port>/dicom-web`."""
    require("Orthanc")
    try:
        running = peers.orthanc_on_the_web(folder, **settings)
    except peers.Absent:
        pytest.skip("needs Orthanc's DICOMweb plug-in: apt-get install orthanc-dicomweb")
    try:
        yield running
    finally:
        running.stop()
