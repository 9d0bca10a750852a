"""A job as docs/interfaces.md shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from archive_node.jobs import moves, progress
from archive_node.jobs.progress import Place
from archive_node.models import Job


def as_json(job: Job) -> dict[str, Any]:
    """Return one job; of many, `all_as_json` asks the queue once."""
    return all_as_json([job])[0]


def all_as_json(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return jobs, each with its progress and its place in the queue."""
    places = progress.places(jobs, timezone.now())
    return [_as_json(job, places.get(job.id, Place())) for job in jobs]


def _as_json(job: Job, place: Place) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "node": job.node,
        "study_uid": job.study_uid,
        "vault": job.vault,
        "volume": job.volume,
        "requested_by": job.requested_by,
        "attempts": job.attempts,
        "error": job.error,
        "waits_for": job.waits_for,
        "priority": job.priority,
        "urgent": job.urgent,
        "actions": moves.actions_in(job.state),
        "progress": {
            "instances_done": job.instances_done,
            "instances_total": job.instances_total,
            "bytes_done": job.bytes_done,
            "bytes_total": job.bytes_total,
            "bytes_per_s": progress.bytes_per_s(job),
            "seconds_left": progress.seconds_left(job),
        },
        "queue": {"ahead": place.ahead, "expected_s": place.expected_s},
        "started_at": iso(job.started_at),
        "due_at": iso(job.due_at),
        "created_at": iso(job.created_at),
        "updated_at": iso(job.updated_at),
    }


def iso(moment: datetime | None) -> str | None:
    """Return a moment as JSON tells it."""
    return moment.isoformat() if moment else None
