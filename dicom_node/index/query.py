"""The one query engine: C-FIND and QIDO-RS ask here (PS3.4 C.4.1, PS3.18 10.6)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Max, Q, QuerySet
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from dicom_node.config import CONFIG
from dicom_node.index.attributes import ATTRIBUTES, LEVELS, Attribute, Level, Match, number_of
from dicom_node.index.matching import condition, is_universal
from dicom_node.models import Instance, Series, Study
from pacs_common.availability import Availability

BATCH_ROWS = 500
_MODEL = {Level.STUDY: Study, Level.SERIES: Series, Level.IMAGE: Instance, Level.PATIENT: Study}
# What leads from the rows of a level to the columns of another.
PREFIX = {
    Level.PATIENT: {Level.PATIENT: ""},
    Level.STUDY: {Level.PATIENT: "", Level.STUDY: ""},
    Level.SERIES: {Level.PATIENT: "study__", Level.STUDY: "study__", Level.SERIES: ""},
    Level.IMAGE: {
        Level.PATIENT: "series__study__",
        Level.STUDY: "series__study__",
        Level.SERIES: "series__",
        Level.IMAGE: "",
    },
}
_ORDER = {
    Level.PATIENT: ["patient_name_key", "patient_id", "issuer", "uid"],
    Level.STUDY: ["-study_date", "uid"],
    Level.SERIES: ["study__uid", F("number").asc(nulls_last=True), "uid"],
    Level.IMAGE: ["series__uid", F("number").asc(nulls_last=True), "uid"],
}


@dataclass(frozen=True)
class Query:
    """What is asked: a level, keys (keyword -> value as in DICOM), and a window on the answer."""

    level: Level
    keys: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    offset: int = 0


def known(keyword: str, level: Level) -> Attribute | None:
    """Return the attribute if the index holds it at this level or above."""
    attribute = ATTRIBUTES.get(keyword)
    if attribute is None or LEVELS.index(attribute.level) > LEVELS.index(level):
        return None
    return attribute


def unmatched(query: Query) -> list[str]:
    """Return the keys that have a value but are not compared: what the caller must be told."""
    asked = (keyword for keyword, value in query.keys.items() if not is_universal(value))
    return [k for k in asked if (a := known(k, query.level)) is None or a.match is Match.NONE]


def find(query: Query) -> Iterator[Dataset]:
    """Yield one data set for each match, with every attribute that the index holds of it.

    Rows are fetched in batches, so an answer of any length is not held. Keys that the index
    does not hold at this level match everything. Raises BadQuery before the first answer.
    """
    rows = _rows(query)
    return (_answer(query.level, row) for row in rows)


def count(query: Query) -> int:
    """Return how many answers the query has without its limit and offset."""
    return _matching(query).count()


def _matching(query: Query) -> QuerySet[Any]:
    wanted = Q()
    for keyword, value in query.keys.items():
        attribute = known(keyword, query.level)
        if attribute is not None:
            wanted &= condition(attribute, value, PREFIX[query.level][attribute.level])
    rows = _MODEL[query.level].objects.filter(wanted)
    return _latest_of_each_patient(rows) if query.level is Level.PATIENT else rows


def _latest_of_each_patient(studies: QuerySet[Any]) -> QuerySet[Any]:
    """Return one study a patient key; where the ID is empty, each study is a patient (rule 12)."""
    latest = studies.values("issuer", "patient_id").annotate(latest=Max("id")).values("latest")
    return studies.filter(Q(patient_id="") | Q(id__in=latest))


def _rows(query: Query) -> Iterator[dict[str, Any]]:
    rows = _matching(query).order_by(*_ORDER[query.level]).values(*_columns(query.level))
    stop = None if query.limit is None else query.offset + query.limit
    return rows[query.offset : stop].iterator(chunk_size=BATCH_ROWS)


def _columns(level: Level) -> list[str]:
    prefixes = PREFIX[level]
    names = {f"{prefixes[a.level]}{a.column}" for a in ATTRIBUTES.values() if a.level in prefixes}
    names.add("availability" if level is Level.IMAGE else "evicted_count")
    return sorted(names)


def _answer(level: Level, row: Mapping[str, Any]) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    for attribute in ATTRIBUTES.values():
        prefix = PREFIX[level].get(attribute.level)
        if prefix is not None:
            _put(ds, attribute, row[f"{prefix}{attribute.column}"])
    ds.RetrieveAETitle = CONFIG.ae_title
    if level is not Level.PATIENT:
        ds.InstanceAvailability = _availability(row)
    return ds


def _put(ds: Dataset, attribute: Attribute, value: Any) -> None:
    if attribute.is_shown_only:
        value = value.get(attribute.keyword, "")
    if attribute.match is Match.TIME and value:
        value = value.removesuffix(".000000")
    setattr(ds, attribute.keyword, _typed(attribute, value))


def _typed(attribute: Attribute, value: Any) -> Any:
    """Return a column's value as its VR wants it, None where it is absent or makes no sense."""
    if value in ("", None):
        return None if attribute.match is not Match.NAME else ""
    if not isinstance(value, str):
        return value
    vr = dictionary_VR(attribute.keyword)
    if vr == "US":
        return number_of(value)
    parts = value.split("\\")
    if vr == "IS":
        parts = [str(number) for part in parts if (number := number_of(part)) is not None]
    if vr == "DS" and not all(_is_decimal(part) for part in parts):
        return None
    return parts if len(parts) > 1 else "".join(parts) or None


def _is_decimal(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _availability(row: Mapping[str, Any]) -> str:
    if "availability" in row:
        return str(row["availability"])
    return Availability.NEARLINE if row["evicted_count"] else Availability.ONLINE
