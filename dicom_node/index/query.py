"""The one query engine: C-FIND and QIDO-RS ask here (PS3.4 C.4.1, PS3.18 10.6).

A query is one SELECT over study, series and instance as deep as its level, made here as text:
its rows are tuples, and no more columns are read than are answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection

from dicom_node.config import CONFIG
from dicom_node.index import matching, moments
from dicom_node.index.attributes import ATTRIBUTES, LEVELS, UNIQUE_KEY, Attribute, Level, Match
from dicom_node.index.matching import ALWAYS, Condition, all_of, any_of, is_universal
from dicom_node.index.moments import Range
from dicom_node.index.semantics import PLAIN, Semantics
from dicom_node.models import Instance, Series, Study
from pacs_common.errors import BadQuery

# Answered only to who asks by name: each costs a look into other rows.
COSTLY = {"sop_classes", "patient_studies", "patient_series", "patient_instances"}
# Date and time of one moment (PS3.4 C.2.2.2.5.3 combines them where it is agreed).
MOMENTS = {
    "StudyDate": "StudyTime",
    "SeriesDate": "SeriesTime",
    "PerformedProcedureStepStartDate": "PerformedProcedureStepStartTime",
}
_STUDY, _SERIES, _INSTANCE = (model._meta.db_table for model in (Study, Series, Instance))
_ALIAS = {Level.PATIENT: "st", Level.STUDY: "st", Level.SERIES: "se", Level.IMAGE: "i"}
_FROM = {
    Level.PATIENT: f"{_STUDY} st",
    Level.STUDY: f"{_STUDY} st",
    Level.SERIES: f"{_SERIES} se JOIN {_STUDY} st ON st.id = se.study_id",
    Level.IMAGE: f"{_INSTANCE} i JOIN {_SERIES} se ON se.id = i.series_id"
    f" JOIN {_STUDY} st ON st.id = se.study_id",
}
_ORDER = {
    Level.PATIENT: "st.patient_name_key, st.patient_id, st.issuer, st.uid",
    Level.STUDY: "st.study_date DESC, st.uid",
    Level.SERIES: "se.number NULLS LAST, se.uid",
    Level.IMAGE: "se.number NULLS LAST, se.uid, i.number NULLS LAST, i.uid",
}
# What a rejection hides is in no answer (custody rule 8); its study and series count what is shown.
_SHOWN = {
    Level.PATIENT: Condition("st.instance_count > 0"),
    Level.STUDY: Condition("st.instance_count > 0"),
    Level.SERIES: Condition("se.instance_count > 0"),
    Level.IMAGE: Condition("NOT i.rejected"),
}
_BY_ARRIVAL = {Level.SERIES: "se.id", Level.IMAGE: "i.id"}


class Position(NamedTuple):
    """A place in the order of studies: by study date, newest first, none last, then by UID."""

    study_date: str
    study_uid: str


@dataclass(frozen=True)
class Query:
    """What is asked: a level, keys (path -> value as in DICOM), and a window on the answer.

    The window begins `offset` rows behind the first or, at the study level, behind the position
    `after`, which costs the same wherever it lies and does not move with arrivals.

    `asked` are the paths to answer, None for all that cost nothing. `offset_from_utc` is the
    request's own (+HHMM); it counts where the semantics agree on time zones.
    """

    level: Level
    keys: Mapping[str, str] = field(default_factory=dict)
    semantics: Semantics = PLAIN
    asked: Collection[str] | None = None
    offset_from_utc: str = ""
    limit: int | None = None
    offset: int = 0
    after: Position | None = None

    @property
    def zone(self) -> timedelta | None:
        """The offset in which the request tells and wants its times; None: as they are held."""
        return moments.offset_of(self.offset_from_utc) if self.semantics.timezone else None


def known(path: str, level: Level) -> Attribute | None:
    """Return the attribute if the index holds it at this level or above."""
    attribute = ATTRIBUTES.get(path)
    if attribute is None or LEVELS.index(attribute.level) > LEVELS.index(level):
        return None
    return attribute


def unmatched(query: Query) -> list[str]:
    """Return the keys that have a value but are not compared: what the caller must be told."""
    asked = (path for path, value in query.keys.items() if not is_universal(value))
    return [k for k in asked if (a := known(k, query.level)) is None or a.match is Match.NONE]


def answered(query: Query) -> list[Attribute]:
    """Return the attributes of which each row holds the values, in the order of its columns."""
    return _answered(query.level, None if query.asked is None else frozenset(query.asked))


@lru_cache(256)
def _answered(level: Level, asked: frozenset[str] | None) -> list[Attribute]:
    return [
        attribute
        for path, attribute in ATTRIBUTES.items()
        if known(path, level)
        and (attribute.column not in COSTLY if asked is None else path in asked)
    ]


def require_hierarchy(query: Query) -> None:
    """Raise BadQuery where a level above has no single UID (PS3.4 C.4.1.2.2.1).

    A Patient ID above is never demanded: workstations leave it out, and the UIDs are unique.
    """
    for level in LEVELS[1 : LEVELS.index(query.level)]:
        keyword = UNIQUE_KEY[level]
        if len(matching.split_uids(query.keys.get(keyword, "").strip("*"))) != 1:
            raise BadQuery(f"a query at {query.level} level names one {keyword}")


def select(query: Query, beyond: Condition = ALWAYS) -> Condition:
    """Return the whole SELECT with its parameters, narrowed by `beyond`; raises BadQuery.

    A position (`after`) is left to `cursors.selects_after`.
    """
    wanted = all_of([beyond, _wanted(query)])
    where, params = wanted.sql or "1 = 1", wanted.params
    if query.level is Level.PATIENT:
        where, params = _latest_of_each_patient(wanted)
    columns = [_value(attribute) for attribute in answered(query)]
    columns.append("i.availability" if query.level is Level.IMAGE else _availability(query.level))
    window = f" LIMIT {query.limit}" if query.limit is not None else ""
    if query.offset:
        window = window or (" LIMIT -1" if connection.vendor == "sqlite" else "")
        window += f" OFFSET {query.offset}"
    return Condition(
        f"SELECT {', '.join(columns)} FROM {_FROM[query.level]} WHERE {where}"  # noqa: S608
        f" ORDER BY {_order(query)}{window}",
        params,
    )


def count(query: Query, ceiling: int) -> int | None:
    """Return how many rows match, its window left aside; None for more than `ceiling`.

    No more than `ceiling` rows are looked at.
    """
    wanted = _wanted(query)
    matching_rows = (
        f"SELECT 1 FROM {_FROM[query.level]} WHERE {wanted.sql or '1 = 1'} LIMIT {ceiling + 1}"  # noqa: S608
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM ({matching_rows}) AS matches", wanted.params)  # noqa: S608
        (found,) = cursor.fetchone()
    return found if found <= ceiling else None


def column(attribute: Attribute) -> str:
    """Return an attribute's column in SQL."""
    if attribute.match is Match.CLASSES:
        return "st.id"
    return f'{_ALIAS[attribute.level]}."{attribute.column}"'


def _wanted(query: Query) -> Condition:
    keys = dict(query.keys)
    found = []
    zone = query.zone
    for day, time in MOMENTS.items():
        asked = [not is_universal(keys.get(path, "")) for path in (day, time)]
        if not known(day, query.level) or not asked[0]:
            continue
        if zone is not None or (all(asked) and query.semantics.combined):
            taken = time if query.semantics.combined and asked[1] else ""
            found.append(_moment(ATTRIBUTES[day], ATTRIBUTES[time], keys, taken, zone))
            keys.pop(day)
            keys.pop(taken, None)
    for path, value in keys.items():
        attribute = known(path, query.level)
        if attribute is not None:
            found.append(matching.condition(attribute, column(attribute), value, query.semantics))
    return all_of([*found, _SHOWN[query.level]])


def _moment(
    day: Attribute, time: Attribute, keys: Mapping[str, str], taken: str, zone: timedelta | None
) -> Condition:
    """Return the condition of a date key with its time key (`taken`), at the request's offset."""
    try:
        days = moments.dates(keys[day.path].strip(" \0"))
        times = moments.times(keys[taken].strip(" \0")) if taken else Range()
    except BadQuery as error:
        raise BadQuery(f"{day.keyword}: {error}") from None
    asked = moments.combined(days, times)
    if zone is None:
        return _within(day, time, asked)
    found = []
    for held in _held_zones():
        limits = moments.moved(asked, zone, moments.zone_of(held) or node_zone())
        said = Condition("st.timezone = %s", (held,))
        found.append(all_of([said, _within(day, time, limits)]))
    return any_of(found)


def node_zone() -> tzinfo:
    """Return the zone of stored times that name no offset."""
    return ZoneInfo(CONFIG.time_zone)


def _held_zones() -> list[str]:
    """Return the offsets that studies name, "" for none: few, and looked up in their own index."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT timezone FROM {_STUDY} WHERE NOT timezone = ''")  # noqa: S608
        return ["", *(held for (held,) in cursor.fetchall())]


def _within(day: Attribute, time: Attribute, limits: Range) -> Condition:
    """Return a range of date and time over two columns; the date's index narrows it first."""
    days, times = column(day), column(time)
    found = [matching.between(days, Range(limits.low[:8], limits.high[:8]))]
    for end, beyond, upto in ((limits.low, ">", ">="), (limits.high, "<", "<=")):
        if end:
            sql = f"({days} {beyond} %s OR {times} {upto} %s)"
            found.append(Condition(sql, (end[:8], end[8:])))
    return all_of(found)


def _latest_of_each_patient(wanted: Condition) -> tuple[str, tuple[Any, ...]]:
    """Narrow to one study a patient key; where the ID is empty, each study is a patient."""
    where = wanted.sql or "1 = 1"
    latest = f"SELECT MAX(st.id) FROM {_STUDY} st WHERE {where} GROUP BY st.issuer, st.patient_id"  # noqa: S608
    return f"{where} AND (st.patient_id = '' OR st.id IN ({latest}))", wanted.params * 2


def _order(query: Query) -> str:
    """Return the order: by number within a study, else what an index gives or arrival."""
    if query.level in _BY_ARRIVAL and is_universal(query.keys.get("StudyInstanceUID", "")):
        if is_universal(query.keys.get("SeriesInstanceUID", "")) or query.level is Level.SERIES:
            return _BY_ARRIVAL[query.level]
    return _ORDER[query.level]


def _availability(level: Level) -> str:
    """Return the availability of a whole in SQL: that of its least available instance."""
    of = _ALIAS[level]
    return (
        f"CASE WHEN {of}.evicted_count = 0 THEN 'ONLINE'"
        f" WHEN {of}.offline_count = 0 THEN 'NEARLINE' ELSE 'OFFLINE' END"
    )


def _value(attribute: Attribute) -> str:
    if attribute.column == "sop_classes":
        joined = "string_agg" if connection.vendor == "postgresql" else "group_concat"
        classes = (
            f"SELECT DISTINCT x.sop_class AS c FROM {_INSTANCE} x"  # noqa: S608
            f" JOIN {_SERIES} y ON y.id = x.series_id WHERE y.study_id = st.id"
            " AND NOT x.rejected ORDER BY c"
        )
        return f"(SELECT {joined}(c, '\\') FROM ({classes}) AS classes)"  # noqa: S608
    if attribute.column in _OF_PATIENT:
        alone, counted = _OF_PATIENT[attribute.column]
        return (
            f"CASE WHEN st.patient_id = '' THEN {alone} ELSE (SELECT {counted} FROM {_STUDY} p"  # noqa: S608
            " WHERE p.patient_id = st.patient_id AND p.issuer = st.issuer"
            " AND p.instance_count > 0) END"
        )
    return column(attribute)


_OF_PATIENT = {
    "patient_studies": ("1", "COUNT(*)"),
    "patient_series": ("st.series_count", "SUM(p.series_count)"),
    "patient_instances": ("st.instance_count", "SUM(p.instance_count)"),
}
