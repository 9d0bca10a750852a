"""What the archive's acts left on whole studies, from the journal (custody rule 2).

Holds are what the last record of them says. A revision that was offered to the archive is one that
it compares: an index made anew, which may count fewer acts, must not come to a lower one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from dicom_node.index import holds
from dicom_node.models import Study, WithheldStudy
from dicom_node.store.journal import (
    CORRECTED,
    CORRECTION_UNDONE,
    HELD,
    KEPT,
    OFFERED,
    RECALLED,
    REJECTED,
    RELEASED,
    REOPENED,
    TAKEN,
    UNDONE,
    Journal,
)
from dicom_node.store.layout import Layout

Record = Mapping[str, Any]
UNDER_WAY = timedelta(minutes=1)  # what arrived so shortly before an offer may not be part of it
_COUNTED = {
    REJECTED, UNDONE, CORRECTED, CORRECTION_UNDONE, KEPT, TAKEN, REOPENED, HELD, RELEASED
}  # fmt: skip


@dataclass
class _Offer:
    """The highest revision that the archive was offered of a study, and whether more happened."""

    revision: int
    at: datetime
    is_outdated: bool = False


def restore_holds(layout: Layout) -> None:
    """Give the studies the holds that the journal tells."""
    last: dict[str, Record] = {}
    for record in Journal(layout.journal).read():
        if record.get("kind") in (HELD, RELEASED):
            last[record["study_uid"]] = record
    for study_uid, record in last.items():
        packed = _packed(record)
        Study.objects.filter(uid=study_uid).exclude(holds=packed).update(
            holds=packed, changed_at=timezone.now()
        )


def show(study_uid: str, records: Sequence[Record]) -> None:
    """Give one study the holds and the count of recalls that its records tell.

    Inside the caller's transaction; a study without a row gets it with its first object.
    """
    study = Study.objects.select_for_update().filter(uid=study_uid).first()
    if study is None:
        return
    for record in records:
        if record.get("kind") in (HELD, RELEASED):
            study.holds = _packed(record)
    study.recalls = max(study.recalls, sum(one.get("kind") == RECALLED for one in records))
    study.changed_at = timezone.now()
    study.save(update_fields=["holds", "recalls", "changed_at"])


def offered(records: Iterable[Record]) -> int | None:
    """Return the highest revision that a study's records say was offered, None for no offer."""
    offers = [one["revision"] for one in records if one.get("kind") == OFFERED]
    return max(offers, default=None)


def restore_revisions(layout: Layout) -> None:
    """Raise the revisions of studies to what was offered, or above it where more happened since."""
    offers = _offers(layout)
    for model in (Study, WithheldStudy):
        _raise_revisions(model, offers)


def _raise_revisions(model: type[Study | WithheldStudy], offers: Mapping[str, _Offer]) -> None:
    rows = model.objects.values_list("id", "uid", "revision", "last_arrival_at")
    for number, uid, revision, last_arrival_at in rows.iterator(chunk_size=2000):
        offer = offers.get(uid)
        if offer is None:
            continue
        has_more = offer.is_outdated or last_arrival_at > offer.at - UNDER_WAY
        least = offer.revision + has_more
        if revision < least:
            raised = {"revision": least, "changed_at": timezone.now()}
            model.objects.filter(id=number, revision=revision).update(**raised)


def _packed(record: Record) -> str:
    return holds.packed(map(holds.hold_of, record["holds"]))


def _offers(layout: Layout) -> dict[str, _Offer]:
    found: dict[str, _Offer] = {}
    for record in Journal(layout.journal).read():
        if record.get("kind") == OFFERED:
            _note_offer(found, record)
        elif record.get("kind") in _COUNTED and record.get("study_uid") in found:
            found[record["study_uid"]].is_outdated = True
    return found


def _note_offer(found: dict[str, _Offer], record: Record) -> None:
    known = found.get(record["study_uid"])
    if known is None or record["revision"] >= known.revision:
        at = datetime.fromisoformat(record["at"])
        found[record["study_uid"]] = _Offer(record["revision"], at)
