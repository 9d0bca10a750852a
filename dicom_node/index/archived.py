"""What the archive's acts left on whole studies, from the journal (custody rule 2).

Holds are what the last record of them says. A revision that was offered to the archive is one that
it compares: an index made anew, which may count fewer acts, must not come to a lower one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from dicom_node.index import holds
from dicom_node.models import Study
from dicom_node.store.journal import (
    CORRECTED,
    CORRECTION_UNDONE,
    HELD,
    OFFERED,
    REJECTED,
    RELEASED,
    TAKEN,
    UNDONE,
    Journal,
)
from dicom_node.store.layout import Layout

UNDER_WAY = timedelta(minutes=1)  # what arrived so shortly before an offer may not be part of it
_COUNTED = {REJECTED, UNDONE, CORRECTED, CORRECTION_UNDONE, TAKEN, HELD, RELEASED}


@dataclass
class _Offer:
    """The highest revision that the archive was offered of a study, and whether more happened."""

    revision: int
    at: datetime
    is_outdated: bool = False


def restore_holds(layout: Layout) -> None:
    """Give the studies the holds that the journal tells."""
    last: dict[str, str] = {}
    for record in Journal(layout.journal).read():
        if record.get("kind") in (HELD, RELEASED):
            last[record["study_uid"]] = holds.packed(map(holds.hold_of, record["holds"]))
    for study_uid, packed in last.items():
        Study.objects.filter(uid=study_uid).exclude(holds=packed).update(
            holds=packed, changed_at=timezone.now()
        )


def restore_revisions(layout: Layout) -> None:
    """Raise the revisions of studies to what was offered, or above it where more happened since."""
    offers = _offers(layout)
    rows = Study.objects.values_list("id", "uid", "revision", "last_arrival_at")
    for number, uid, revision, last_arrival_at in rows.iterator(chunk_size=2000):
        offer = offers.get(uid)
        if offer is None:
            continue
        has_more = offer.is_outdated or last_arrival_at > offer.at - UNDER_WAY
        least = offer.revision + has_more
        if revision < least:
            raised = {"revision": least, "changed_at": timezone.now()}
            Study.objects.filter(id=number, revision=revision).update(**raised)


def _offers(layout: Layout) -> dict[str, _Offer]:
    found: dict[str, _Offer] = {}
    for record in Journal(layout.journal).read():
        if record.get("kind") == OFFERED:
            _note_offer(found, record)
        elif record.get("kind") in _COUNTED and record.get("study_uid") in found:
            found[record["study_uid"]].is_outdated = True
    return found


def _note_offer(found: dict[str, _Offer], record: dict[str, Any]) -> None:
    known = found.get(record["study_uid"])
    if known is None or record["revision"] >= known.revision:
        at = datetime.fromisoformat(record["at"])
        found[record["study_uid"]] = _Offer(record["revision"], at)
