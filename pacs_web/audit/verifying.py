"""Walks the chain and finds the first row that is not as it was written."""

from __future__ import annotations

from dataclasses import dataclass

from pacs_web.audit import chain
from pacs_web.audit.anchors import Anchor
from pacs_web.audit.models import AuditEvent

ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Break:
    """The first broken row and what happened: changed, deleted, inserted, reordered, cut."""

    row: int
    kind: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """How many rows were walked, how many anchors held, and the first break."""

    rows: int
    anchors: int
    broken: Break | None


def verify(anchors: list[Anchor]) -> Verdict:
    """Walk all rows in order, holding each to its digest, to the row before, and to the anchors."""
    noted = {anchor.row: anchor for anchor in anchors}
    previous, last, count, held = chain.FIRST, 0, 0, 0
    for row in AuditEvent.objects.order_by("id").iterator(ROWS_AT_ONCE):
        count += 1
        broken = _broken(row, previous, last) or _loose(row, noted.get(row.id))
        if broken is not None:
            return Verdict(count, held, broken)
        held += row.id in noted
        previous, last = row.digest, row.id
    return Verdict(count, held, _cut(anchors, last))


def _broken(row: AuditEvent, previous: str, last: int) -> Break | None:
    if row.digest != chain.digest_of(row.previous, row):
        return Break(row.id, "changed", f"row {row.id} was changed: its digest is another")
    if row.previous == previous:
        return None
    before = AuditEvent.objects.filter(digest=row.previous).values_list("id", flat=True).first()
    if before is None and row.previous != chain.FIRST:
        why = f"what stood between row {last} and row {row.id} was deleted"
        return Break(row.id, "deleted", why)
    if before is not None and before > row.id:
        why = f"row {row.id} was moved: it follows row {before}"
        return Break(row.id, "reordered", why)
    added = AuditEvent.objects.filter(id__gt=before or 0).order_by("id")
    first = added.values_list("id", flat=True).first() or row.id
    return Break(first, "inserted", f"row {first} was inserted: row {row.id} does not follow it")


def _loose(row: AuditEvent, anchor: Anchor | None) -> Break | None:
    if anchor is None or anchor.digest == row.digest:
        return None
    why = f"row {row.id}, or one before it, was written anew: the anchor of {anchor.at} differs"
    return Break(row.id, "changed", why)


def _cut(anchors: list[Anchor], last: int) -> Break | None:
    """Return the break where an anchor names rows that are no more."""
    beyond = min((one for one in anchors if one.row > last), key=lambda one: one.row, default=None)
    if beyond is None:
        return None
    why = f"the end was cut off after row {last}: on {beyond.at} row {beyond.row} was the last"
    return Break(last + 1, "cut", why)
