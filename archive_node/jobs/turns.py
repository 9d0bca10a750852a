"""Whose turn it is: the most urgent job that may start now.

A message says only that there is work. So a recall that comes late overtakes ten thousand copies,
and a copy waits in the queue, not in a worker, for a drive that others hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from archive_node import library
from archive_node.jobs import schedule
from archive_node.jobs.states import Lease, State, claim
from archive_node.models import Job, KnownVault

ORDER = ("-urgent", "-priority", "due_at", "id")
BACKGROUND = frozenset({Job.Kind.COPY, Job.Kind.SCRUB, Job.Kind.EVACUATE, Job.Kind.RESTORE})
_LOCK = 0x415247544E  # "ARGTN"
_LEFT_BEHIND = 50


@dataclass(frozen=True)
class Busy:
    """What runs now: how many jobs, how many of them in the background, how many at each vault."""

    jobs: int
    background: int
    at_vault: Counter[str]

    def leaves_room_for(self, job: Job) -> bool:
        """Return whether a job may run beside these.

        One place is always left for recalls and evictions, and no vault gets more jobs than it
        has drives.
        """
        places = settings.ARCHIVE.jobs_at_once
        if self.jobs >= places:
            return False
        if job.kind not in BACKGROUND:
            return True
        drives = library.drives_of(job.vault)
        free_drive = not drives or self.at_vault[job.vault] < drives
        return free_drive and self.background < max(1, places - 1)


def claim_next() -> Lease | None:
    """Claim the job whose turn it is; None where nothing may start now."""
    with transaction.atomic():
        _one_at_a_time()
        now = timezone.now()
        job = _chosen(now, _busy(now))
        return claim(job.id) if job is not None else None


def startable(now: datetime, limit: int) -> list[Job]:
    """Return up to `limit` jobs that may start now, the most urgent first."""
    busy = _busy(now)
    found = [job for job in _first_of_each(now, limit) if busy.leaves_room_for(job)]
    return sorted(found, key=lambda job: _rank(job, busy))[:limit]


def _chosen(now: datetime, busy: Busy) -> Job | None:
    return next(iter(startable(now, 1)), None)


def _rank(job: Job, busy: Busy) -> tuple[object, ...]:
    """Equals take turns between the vaults."""
    return (not job.urgent, -job.priority, busy.at_vault[job.vault], job.due_at, job.id)


def _busy(now: datetime) -> Busy:
    running = Job.objects.filter(state=State.RUNNING, lease_until__gte=now, waits_for="")
    pairs = list(running.values_list("kind", "vault"))
    background = [vault for kind, vault in pairs if kind in BACKGROUND]
    return Busy(len(pairs), len(background), Counter(background))


def _first_of_each(now: datetime, limit: int) -> Iterator[Job]:
    """Yield what dead workers left, and the first jobs of each kind at each vault."""
    left = Job.objects.filter(state=State.RUNNING, lease_until__lt=now)
    yield from left.order_by(*ORDER)[:_LEFT_BEHIND]
    drawn = schedule.spans()
    nodes = {"", *settings.ARCHIVE.nodes, *(span.node for span in drawn)}
    for kind, vault in _kinds_at_vaults():
        queued = Job.objects.filter(kind=kind, vault=vault, state=State.QUEUED, due_at__lte=now)
        closed = schedule.closed_nodes(drawn, kind, vault, nodes, now) if drawn else []
        yield from _outside(queued, closed).order_by(*ORDER)[:limit]


def _outside(queued: QuerySet[Job], closed: list[str]) -> QuerySet[Job]:
    return queued.filter(Q(urgent=True) | ~Q(node__in=closed)) if closed else queued


def _kinds_at_vaults() -> list[tuple[str, str]]:
    vaults = {"", *library.specs(), *KnownVault.objects.values_list("name", flat=True)}
    return [(kind, vault) for kind in Job.Kind.values for vault in sorted(vaults)]


def _one_at_a_time() -> None:
    """Let no two workers choose in the same moment: each sees what the other has taken.

    On SQLite the transaction itself does that.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
