"""Which studies may lack objects: a transfer of them ended badly and was not repeated since.

Told by the transfers that the node remembers (the last 2,000), so it ends with that memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Max

from dicom_node.models import Instance, NonPatientObject, Transfer

_COLUMNS = ("ended_at", "why_ended", "unfinished", "refused", "refusals", "studies")


class _Known:
    """The answer for the transfers as they are, kept while none changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stamp: Mapping[str, Any] | None = None
        self._studies: frozenset[str] = frozenset()

    def studies(self) -> frozenset[str]:
        stamp = Transfer.objects.aggregate(last=Max("id"), at=Max("last_at"))
        with self._lock:
            if stamp != self._stamp:
                self._studies, self._stamp = _found(), stamp
            return self._studies


def studies() -> frozenset[str]:
    """Return the UIDs of the studies that may lack objects."""
    return _KNOWN.studies()


def _found() -> frozenset[str]:
    rows = list(Transfer.objects.order_by("id").values(*_COLUMNS))
    came_later = _here(_refused_uids(rows))
    lacking: set[str] = set()
    for row in rows:
        if _ended_badly(row, came_later):
            lacking |= row["studies"].keys()
        elif row["ended_at"] is not None:
            lacking -= row["studies"].keys()  # a later one of the same study went well
    return frozenset(lacking)


def _ended_badly(row: Mapping[str, Any], came_later: set[str]) -> bool:
    """Whether a transfer broke off, or was refused an object that is not here to this day.

    Which study a refused object belongs to is not known: any of the same association.
    """
    if row["ended_at"] is None:
        return False
    if row["why_ended"] or row["unfinished"]:
        return True
    return bool(row["refused"]) and not _refused_uids([row]) <= came_later


def _refused_uids(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    return {refusal["sop_instance_uid"] for row in rows for refusal in row["refusals"]}


def _here(uids: Iterable[str]) -> set[str]:
    wanted, found = sorted(uids), set()
    for start in range(0, len(wanted), 500):  # within what one statement of SQLite may name
        some = wanted[start : start + 500]
        for model in (Instance, NonPatientObject):
            found |= set(model._base_manager.filter(uid__in=some).values_list("uid", flat=True))
    return found


_KNOWN = _Known()
