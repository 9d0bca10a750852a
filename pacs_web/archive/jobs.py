"""Archive jobs, made ready for a page."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def percent(job: dict[str, Any]) -> int:
    """Return how much of a job is done, by bytes where they are known, else by instances."""
    progress = job.get("progress") or {}
    for done, total in (("bytes_done", "bytes_total"), ("instances_done", "instances_total")):
        if progress.get(total):
            return min(100, round(100 * (progress.get(done) or 0) / progress[total]))
    return 100 if job.get("state") == "done" else 0


def shown(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job with its times as times and its progress as percent."""
    return {
        **job,
        "percent": percent(job),
        "created": _time(job.get("created_at")),
        "updated": _time(job.get("updated_at")),
        "open": job.get("state") in {"queued", "running"},
    }


def volume_shown(volume: dict[str, Any]) -> dict[str, Any]:
    """Return a volume with its fill as percent and its times as times."""
    capacity = volume.get("capacity_bytes") or 0
    return {
        **volume,
        "percent": round(100 * volume.get("used_bytes", 0) / capacity) if capacity else 0,
        "last_written": _time(volume.get("last_written_at")),
    }


def _time(raw: str | None) -> datetime | None:
    return datetime.fromisoformat(raw) if raw else None
