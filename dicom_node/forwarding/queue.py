"""The queue of what goes to destinations: its rows survive a kill at any moment.

A row is claimed by a conditional update, sent, and settled by its answer. What a killed process
had claimed is reclaimed at the next start, so an instance may arrive twice but never not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from dicom_node.config import CONFIG
from dicom_node.index.durable import durable_transaction
from dicom_node.models import Forward, ForwardDestination, Instance

State = Forward.State
OPEN = (State.WAITING, State.SENDING)
BATCH_INSTANCES = 200
MAX_REFUSALS = 5
MAX_PAUSE_S = 600.0
RECALL_PAUSE = timedelta(seconds=60)
Closed = Collection[str] | None


def enqueue(
    destination: str,
    instances: Iterable[Instance],
    requested_by: str,
    *,
    priority: int = 0,
    wants_commitment: bool = False,
) -> int:
    """Put instances into the queue, durably, and return how many were not in it yet.

    `instances` come with their `series__study`; their order is the order of sending.
    """
    now = timezone.now()
    rows = [
        Forward(
            uid=instance.uid,
            study_uid=instance.series.study.uid,
            destination=destination,
            requested_by=requested_by,
            priority=priority,
            due_at=now,
            wants_commitment=wants_commitment,
        )
        for instance in instances
    ]
    under_way = Forward.objects.filter(destination=destination, state__in=OPEN)
    with durable_transaction():
        before = under_way.count()
        Forward.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
        return under_way.count() - before


def reclaim(destination: str = "") -> int:
    """Give back what was claimed by a process or (of a destination) a thread that is gone."""
    claimed = Forward.objects.filter(state=State.SENDING)
    if destination:
        claimed = claimed.filter(destination=destination)
    return claimed.update(state=State.WAITING)


def due_destinations(closed_rules: Closed) -> list[str]:
    """Return the destinations that can be sent to now, the longest waiting first.

    What was made by a rule whose hours are closed is left; with None, all that rules made.
    """
    waiting = _due(closed_rules).order_by().values_list("destination", flat=True).distinct()
    held = ForwardDestination.objects.filter(held_until__gt=timezone.now())
    away = set(held.values_list("ae_title", flat=True))
    tried = dict(ForwardDestination.objects.values_list("ae_title", "held_until"))
    never = datetime.min.replace(tzinfo=timezone.now().tzinfo)
    return sorted(set(waiting) - away, key=lambda ae: (tried.get(ae) or never, ae))


def claim(destination: str, closed_rules: Closed) -> list[Forward]:
    """Take some rows of a destination, the most urgent and oldest first."""
    ordered = _due(closed_rules).filter(destination=destination).order_by("-priority", "id")
    ids = list(ordered.values_list("id", flat=True)[:BATCH_INSTANCES])
    claimed = []
    for row in Forward.objects.filter(id__in=ids).order_by("-priority", "id"):
        free = Forward.objects.filter(id=row.id, state=State.WAITING)
        if free.update(state=State.SENDING):
            claimed.append(row)
    return claimed


def settle_sent(row: Forward, status: int) -> None:
    """The destination has it (0x0000, or a warning of PS3.4 B.2.3)."""
    _claimed(row).update(
        state=State.SENT, status=status, error="", settled_at=timezone.now(), attempts=row.attempts
    )


def settle_refused(row: Forward, status: int | None, error: str, *, is_final: bool = False) -> None:
    """The destination refused this instance: again later, given up after MAX_REFUSALS."""
    attempts = row.attempts + 1
    if is_final or attempts >= MAX_REFUSALS or _is_too_old(row):
        _claimed(row).update(
            state=State.GIVEN_UP,
            status=status,
            error=error[:500],
            attempts=attempts,
            settled_at=timezone.now(),
        )
    else:
        _claimed(row).update(
            state=State.WAITING,
            status=status,
            error=error[:500],
            attempts=attempts,
            due_at=timezone.now() + pause(attempts),
        )


def put_off(
    row: Forward, error: str, by: timedelta | None = None, *, status: int | None = None
) -> None:
    """The instance could not be sent or kept this time; it is given up by its age alone."""
    if _is_too_old(row):
        settle_refused(row, status, error, is_final=True)
        return
    attempts = row.attempts + 1
    _claimed(row).update(
        state=State.WAITING,
        status=status,
        error=error[:500],
        attempts=attempts,
        due_at=timezone.now() + (by or pause(attempts)),
    )


def put_back(rows: Iterable[Forward]) -> None:
    """Return claimed rows to the queue, untouched."""
    ids = [row.id for row in rows]
    Forward.objects.filter(id__in=ids, state=State.SENDING).update(state=State.WAITING)


def note_reached(destination: str) -> None:
    """The destination takes what it is sent."""
    ForwardDestination.objects.update_or_create(
        ae_title=destination,
        defaults={
            "failures": 0,
            "away_since": None,
            "held_until": None,
            "error": "",
            "last_sent_at": timezone.now(),
        },
    )


def note_away(destination: str, error: str) -> None:
    """The destination cannot be reached: leave it for a while, and give up what is too old."""
    known, _ = ForwardDestination.objects.get_or_create(ae_title=destination)
    now = timezone.now()
    ForwardDestination.objects.filter(id=known.id).update(
        failures=known.failures + 1,
        away_since=known.away_since or now,
        held_until=now + pause(known.failures + 1),
        error=error[:500],
    )
    too_old = Q(created_at__lt=now - timedelta(seconds=CONFIG.forward_give_up_s))
    Forward.objects.filter(too_old, destination=destination, state=State.WAITING).update(
        state=State.GIVEN_UP, error=error[:500], settled_at=now
    )


def resend(rows: QuerySet[Forward], requested_by: str) -> int:
    """Send settled rows again from the start; what is under way stays. Returns how many."""
    active = Forward.objects.filter(state__in=OPEN)
    again = 0
    with durable_transaction():
        now = timezone.now()
        latest: dict[tuple[str, str], int] = {}
        for row in rows.exclude(state__in=OPEN).order_by("id"):
            latest[row.destination, row.uid] = row.id
        for destination, uid in list(latest):
            if active.filter(destination=destination, uid=uid).exists():
                del latest[destination, uid]
        again = Forward.objects.filter(id__in=latest.values()).update(
            state=State.WAITING,
            attempts=0,
            error="",
            status=None,
            commitment=None,
            requested_by=requested_by,
            created_at=now,
            due_at=now,
            settled_at=None,
        )
        destinations = {destination for destination, _ in latest}
        ForwardDestination.objects.filter(ae_title__in=destinations).update(held_until=None)
    return again


def cancel(rows: QuerySet[Forward]) -> int:
    """Take waiting rows out of the queue and return how many; what is being sent goes on."""
    with durable_transaction():
        return rows.filter(state=State.WAITING).update(
            state=State.CANCELLED, settled_at=timezone.now()
        )


def forget_settled() -> int:
    """Forget rows that were settled longer ago than they are kept."""
    kept_since = timezone.now() - timedelta(seconds=CONFIG.forward_keep_s)
    return Forward.objects.filter(settled_at__lt=kept_since).delete()[0]


def pause(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row."""
    return timedelta(seconds=min(MAX_PAUSE_S, CONFIG.retry_s * 2 ** min(failures - 1, 20)))


def _due(closed_rules: Closed) -> QuerySet[Forward]:
    waiting = Forward.objects.filter(state=State.WAITING, due_at__lte=timezone.now())
    if closed_rules is None:
        return waiting.filter(rule="")
    return waiting.exclude(rule__in=list(closed_rules)) if closed_rules else waiting


def _claimed(row: Forward) -> QuerySet[Forward]:
    return Forward.objects.filter(id=row.id, state=State.SENDING)


def _is_too_old(row: Forward) -> bool:
    return timezone.now() - row.created_at > timedelta(seconds=CONFIG.forward_give_up_s)
