"""When a role's last good backup was made, as `manage.py ROLE backup` notes it beside the data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily

NOTE = "last-backup.json"


def note(data_dir: Path, at: float, size_bytes: int) -> None:
    """Remember a backup that is whole: when it was begun (Unix time), and its size."""
    fresh = data_dir / f".{NOTE}.new"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({"at": at, "size_bytes": size_bytes}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(data_dir / NOTE)


def gauges(data_dir: Path) -> Iterator[GaugeMetricFamily]:
    """Yield when the last backup was made and how large it was; nothing where there is none."""
    found = _read(data_dir)
    if found is None:
        return
    at, size = found
    yield _gauge("argens_backup_timestamp_seconds", "When the last good backup was begun.", at)
    yield _gauge("argens_backup_size_bytes", "Size of the last good backup.", size)


def last_at(data_dir: Path) -> float | None:
    """Return when the last good backup was begun (Unix time); None where there is none."""
    found = _read(data_dir)
    return found and found[0]


def _read(data_dir: Path) -> tuple[float, float] | None:
    try:
        told: dict[str, Any] = json.loads((data_dir / NOTE).read_text(encoding="utf-8"))
        return float(told["at"]), float(told["size_bytes"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value=value)
