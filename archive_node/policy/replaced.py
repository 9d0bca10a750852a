"""A node that says it took the place of a lost one gets its studies back, unasked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from archive_node import trail
from archive_node.jobs import dispatch
from archive_node.models import Job
from archive_node.policy import selection


def refill_where_wanted(name: str, told: dict[str, Any], now: datetime) -> None:
    """Ask for the job that refills a node, where its account says that it wants to be refilled.

    After one that failed, or that an operator cancelled, the scan lets some time pass.
    """
    if not told.get("take_over") or selection.resting(name, Job.Kind.RESTORE, now):
        return
    job, new = dispatch.request_for_node(Job.Kind.RESTORE, name, f"{name}, taken over")
    if new:
        trail.note("asked", "archive", job=job.id, operation=job.kind, node=name, new=True)
