"""What the workers count while they work; what the database knows is in `api/figures.py`."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Histogram

TURNS_S = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400)
TURNS = Histogram(
    "argens_archive_job_turn_seconds",
    "Time that a worker spent on a job before it ended, waited or was tried again, by kind.",
    ["kind"],
    buckets=TURNS_S,
)
ENDED = Counter(
    "argens_archive_jobs_ended_total", "Jobs that were done or failed, by kind.", ["kind", "state"]
)
OUTCOMES = ("done", "failed")
BYTES = Counter(
    "argens_archive_job_bytes_total",
    "Bytes that the last step of ended jobs read or wrote, by kind.",
    ["kind"],
)


def begin(kinds: Iterable[str]) -> None:
    """Tell as 0 what may come: an increase from nothing is none to Prometheus."""
    for kind in kinds:
        for outcome in OUTCOMES:
            ENDED.labels(kind, outcome)
