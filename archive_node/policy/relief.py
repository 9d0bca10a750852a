"""Makes space on a node for what is to be recalled to it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from archive_node.jobs import moves
from archive_node.models import Job, NodeState, StudyFacts
from archive_node.policy import evictions
from archive_node.policy.decided import rules_of
from archive_node.policy.rules import Rules


def make_room(node: str, size_bytes: int) -> bool:
    """Return whether a node's disk, as last scanned, has so much free beside its reserve.

    Where it has not, what may go is listed for eviction, and evicted where nobody approves.
    """
    state = NodeState.objects.filter(name=node).first()
    if state is None or not state.disk:
        return False
    if evictions.usable_bytes(state.disk)[1] >= size_bytes:
        return True
    asked = rules_of(node, timezone.now())
    evictions.consider(node, state.disk, asked, besides_bytes=size_bytes)
    return False


def wanted_bytes(node: str) -> int:
    """Return the bytes of the recalls that wait for space on a node."""
    return _lacking_bytes(node, _waiting(node))


def under_way_bytes(node: str) -> int:
    """Return the bytes of all recalls to a node that have not ended."""
    return _lacking_bytes(
        node, Job.objects.filter(kind=Job.Kind.RECALL, node=node, state__in=Job.OPEN)
    )


def wake(node: str, free_bytes: int) -> int:
    """Queue the waiting recalls again for which `free_bytes` suffice, the first asked first.

    Returns how many. A job that does not find its space after all waits again.
    """
    woken = 0
    for job in _waiting(node).order_by("-priority", "id"):
        row = StudyFacts.objects.filter(node=node, study_uid=job.study_uid).first()
        needed = max(0, row.size_bytes - row.online_bytes) if row else 0
        if needed > free_bytes:
            continue
        free_bytes -= needed
        waiting = Job.objects.filter(id=job.id)
        woken += moves.move("wake", waiting, waits_for="", due_at=timezone.now())
    return woken


def _lacking_bytes(node: str, recalls: QuerySet[Job]) -> int:
    rows = StudyFacts.objects.filter(node=node, study_uid__in=recalls.values("study_uid"))
    sizes = rows.values_list("size_bytes", "online_bytes")
    return sum(max(0, size - there) for size, there in sizes)


def _waiting(node: str) -> QuerySet[Job]:
    return Job.objects.filter(
        kind=Job.Kind.RECALL,
        node=node,
        state=Job.State.WAITING,
        waits_for=moves.waits_for_space(node),
    )


def consider(node: str, disk: dict[str, Any], asked: Rules) -> None:
    """List what shall go for the watermarks, and for the recalls that wait; wake these."""
    evictions.consider(node, disk, asked, besides_bytes=wanted_bytes(node))
    wake(node, evictions.usable_bytes(disk)[1])
