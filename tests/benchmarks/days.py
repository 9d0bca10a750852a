"""Whole "Fréjus days" for the ingest benchmark: what three sources send at once."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

from dicom_node.sampleday.day import make_day
from tests.benchmarks.images import Batch

SOURCES = ("CT", "RF", "CR")
FIRST = date(2026, 1, 5)
DAY_BYTES = 2_150_000_000
GROWTH = 1.3  # of a node, renditions included
SPARE_BYTES = 4 << 30  # nodes refuse images below their reserve


def write(folder: Path, scale: float, number: int) -> Batch:
    """Write a day of its own patients, an association for each source."""
    files = make_day(folder, scale, seed=number + 1, day=FIRST + timedelta(days=number))
    size_bytes = sum(path.stat().st_size for path in files)
    name = f"Fréjus day of {len(files)} files ({size_bytes / 1e9:.2g} GB)"
    return Batch(
        [folder / source for source in SOURCES], len(files), size_bytes // len(files), name
    )


def refusal(folder: Path, scale: float, count: int) -> str:
    """Return why so many days have no room in a folder, "" where they have.

    One day's files lie there, and a store of them all.
    """
    wanted = int(DAY_BYTES * scale * (1 + GROWTH * count)) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free >= wanted:
        return ""
    days = f"{count} Fréjus day{'s' * (count > 1)}"
    return (
        f"{days} want {wanted / 1e9:.0f} GB of {folder}, {free / 1e9:.0f} GB are free"
        " (another disk: --folder; fewer days: --days)"
    )
