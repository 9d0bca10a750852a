"""Requests for storage commitment as rows: durable before they are answered, leased to work on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from dicom_node.config import CONFIG
from dicom_node.index.durable import durable_transaction
from dicom_node.models import Commitment, CommitmentItem

State, Side = Commitment.State, Commitment.Side
LEASE = timedelta(seconds=60)
COPIES_PAUSE = timedelta(seconds=60)
MAX_PAUSE_S = 600.0
Item = tuple[str, str]  # SOP class, SOP instance


def accept(
    transaction_uid: str, items: Sequence[Item], *, peer_ae: str, peer_address: str, own_ae: str
) -> Commitment:
    """Keep a peer's request, durably, leased to the caller.

    The same request again (a peer that missed our answer) is the same row and is checked and
    reported again; other items under a Transaction UID that is taken make a duplicate.
    """
    now = timezone.now()
    with durable_transaction():
        known = Commitment.objects.filter(
            side=Side.PEER, peer_ae=peer_ae, transaction_uid=transaction_uid, is_duplicate=False
        ).first()
        if known is not None and _items_of(known) == set(items):
            known.lease_until = now + LEASE
            if known.state in (State.DONE, State.GIVEN_UP):
                known.state, known.settled_at, known.asked_at = State.CHECKING, None, now
                known.items.update(reason=None)
            known.peer_address, known.own_ae, known.due_at = peer_address, own_ae, now
            known.save()
            return known
        row = Commitment.objects.create(
            side=Side.PEER,
            state=State.CHECKING,
            transaction_uid=transaction_uid,
            peer_ae=peer_ae,
            peer_address=peer_address,
            own_ae=own_ae,
            is_duplicate=known is not None,
            due_at=now,
            lease_until=now + LEASE,
        )
        _add_items(row, items)
    return row


def ask(
    transaction_uid: str, items: Sequence[Item], *, peer_ae: str, own_ae: str, requested_by: str
) -> Commitment:
    """Put a request of ours into the queue, inside the caller's transaction."""
    row = Commitment.objects.create(
        side=Side.NODE,
        state=State.ASKING,
        transaction_uid=transaction_uid,
        peer_ae=peer_ae,
        own_ae=own_ae,
        requested_by=requested_by,
        due_at=timezone.now(),
    )
    _add_items(row, items)
    return row


def due() -> QuerySet[Commitment]:
    """Return the requests that can be worked on now, oldest first."""
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    open_rows = Commitment.objects.filter(free, settled_at=None, due_at__lte=now)
    return open_rows.order_by("due_at", "id")


def lease(row: Commitment) -> bool:
    """Take a request that nobody works on; returns whether it is ours now."""
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    mine = Commitment.objects.filter(free, id=row.id, state=row.state, settled_at=None)
    return bool(mine.update(lease_until=now + LEASE))


def renew(row: Commitment) -> None:
    """Keep a request that is being worked on."""
    Commitment.objects.filter(id=row.id).update(lease_until=timezone.now() + LEASE)


def reclaim() -> None:
    """Give back what a process that is gone had leased; only at the start of the chores."""
    Commitment.objects.filter(settled_at=None).update(lease_until=None)


def advance(row: Commitment, state: Commitment.State) -> None:
    """Let a request go on at once in another state; the lease stays with the caller."""
    row.state = state
    Commitment.objects.filter(id=row.id).update(
        state=state, attempts=0, error="", due_at=timezone.now()
    )


def free(row: Commitment) -> None:
    """Give up the lease, so that the chores go on with the request."""
    Commitment.objects.filter(id=row.id).update(lease_until=None)


def wait_for_copies(row: Commitment) -> None:
    """What is open of a request waits for the archive's copies; looked at again in a while."""
    due_at = timezone.now() + COPIES_PAUSE
    Commitment.objects.filter(id=row.id, state=State.CHECKING).update(
        lease_until=None, due_at=due_at, error="waits for the archive's copies"
    )


def copies_came() -> None:
    """Look at once at the requests that wait for copies."""
    Commitment.objects.filter(state=State.CHECKING, lease_until=None).update(due_at=timezone.now())


def postpone(
    row: Commitment, error: str, *, status: int | None = None, is_final: bool = False
) -> None:
    """Try again later, or give up what is too old or final; the reason stays visible."""
    now = timezone.now()
    values: dict[str, object] = {
        "error": error[:500],
        "attempts": row.attempts + 1,
        "answer_status": status,
        "lease_until": None,
        "due_at": now + pause(row.attempts + 1),
    }
    if is_final or now - row.asked_at > timedelta(seconds=CONFIG.commit_give_up_s):
        values |= {"state": State.GIVEN_UP, "settled_at": now}
    Commitment.objects.filter(id=row.id, settled_at=None).update(**values)


def retry(row: Commitment) -> bool:
    """Try a request again from where it stands; false where it is done or being worked on."""
    now = timezone.now()
    again = {State.GIVEN_UP: State.ASKING if row.side == Side.NODE else State.CHECKING}
    idle = Commitment.objects.filter(id=row.id, state=row.state, lease_until=None)
    return bool(
        idle.exclude(state=State.DONE).update(
            state=again.get(State(row.state), row.state), due_at=now, asked_at=now, settled_at=None
        )
    )


def finish(row: Commitment, status: int | None = None) -> None:
    """The report was taken, or has come."""
    Commitment.objects.filter(id=row.id).update(
        state=State.DONE,
        error="",
        answer_status=status,
        lease_until=None,
        settled_at=timezone.now(),
    )


def await_report(row: Commitment, status: int) -> None:
    """The peer took our request: its report is due before we give up."""
    Commitment.objects.filter(id=row.id, state=State.ASKING).update(
        state=State.AWAITING,
        error="",
        answer_status=status,
        lease_until=None,
        due_at=timezone.now() + timedelta(seconds=CONFIG.commit_give_up_s),
    )


def reported(transaction_uid: str, outcome: Iterable[tuple[str, int]]) -> Commitment | None:
    """Write down a peer's report, (SOP instance, failure reason or 0), durably.

    Returns our request, or None where no request of ours has that Transaction UID. An instance
    that the report leaves out keeps no reason: it is not committed.
    """
    with durable_transaction():
        row = Commitment.objects.filter(side=Side.NODE, transaction_uid=transaction_uid).first()
        if row is None:
            return None
        by_reason: dict[int, list[str]] = {}
        for uid, reason in outcome:
            by_reason.setdefault(reason, []).append(uid)
        for reason, uids in by_reason.items():
            for start in range(0, len(uids), 500):
                row.items.filter(uid__in=uids[start : start + 500]).update(reason=reason)
        finish(row)
    return row


def forget_settled() -> int:
    """Forget requests that were settled longer ago than they are kept."""
    kept_since = timezone.now() - timedelta(seconds=CONFIG.forward_keep_s)
    return Commitment.objects.filter(settled_at__lt=kept_since).delete()[0]


def pause(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row."""
    return timedelta(seconds=min(MAX_PAUSE_S, CONFIG.retry_s * 2 ** min(failures - 1, 20)))


def _items_of(row: Commitment) -> set[Item]:
    return set(row.items.values_list("sop_class", "uid"))


def _add_items(row: Commitment, items: Sequence[Item]) -> None:
    CommitmentItem.objects.bulk_create(
        (CommitmentItem(commitment=row, sop_class=sop_class, uid=uid) for sop_class, uid in items),
        batch_size=500,
    )
