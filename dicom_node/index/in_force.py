"""Which corrections of a study are in force, as its row is to hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dicom_node.models import Correction
from dicom_node.overlay.chain import Change, packed

State = Correction.State
IN_FORCE = (State.APPLIED, State.UNDOING)


class Known(NamedTuple):
    """The corrections of a study that has no row yet: those in force, and how often it changed."""

    overlay: str
    acts: int


def overlay_of(study_uid: str) -> str:
    """Return the corrections of a study that are in force, as its row holds them."""
    found = Correction.objects.filter(study_uid=study_uid, state__in=IN_FORCE).order_by("id")
    return packed(map(_change, found))


def of_new(study_uids: Iterable[str]) -> dict[str, Known]:
    """Return what is known of studies that get their first row, or get one again."""
    found: dict[str, list[Correction]] = {}
    rows = Correction.objects.filter(study_uid__in=list(study_uids)).exclude(state=State.BEGUN)
    for one in rows.order_by("id"):
        found.setdefault(one.study_uid, []).append(one)
    return {
        uid: Known(
            packed(_change(one) for one in every if one.state in IN_FORCE),
            sum(2 if one.state == State.UNDONE else 1 for one in every),
        )
        for uid, every in found.items()
    }


def _change(one: Correction) -> Change:
    return Change(
        one.correction_id, one.at.isoformat(), one.values, tuple(one.before), tuple(one.after)
    )
