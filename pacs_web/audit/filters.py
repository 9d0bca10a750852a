"""What of the audit is asked for: its filters, read without trust, and a page of rows by keyset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from pacs_web.audit.models import Action, AuditEvent, AuditRows, Result

ROWS_A_PAGE = 50
FIELDS = ("who", "action", "result", "source", "study", "since", "until")
_COLUMNS = {
    "who": "who",
    "action": "action",
    "result": "result",
    "source": "source",
    "study": "study_uid",
}
_CHOICES = {"action": Action.values, "result": Result.values}


@dataclass(frozen=True)
class Page:
    """Some rows, newest first, and the cursor of the older ones ("" at the end)."""

    rows: list[AuditEvent]
    older: str


@dataclass(frozen=True)
class Filters:
    """The filters as they were asked for; what is nonsense is left out."""

    asked: Mapping[str, str]

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Filters:
        """Read the filters of a query or a form."""
        given = {name: str(query.get(name, "")).replace("\x00", "").strip() for name in FIELDS}
        for name, values in _CHOICES.items():
            given[name] = given[name] if given[name] in values else ""
        for name in ("since", "until"):
            given[name] = given[name] if _day(given[name]) else ""
        return cls(given)

    def rows(self) -> AuditRows:
        """Return the rows that are asked for, newest first; each filter stands on an index."""
        wanted = {_COLUMNS[name]: self.asked[name] for name in _COLUMNS if self.asked[name]}
        rows = AuditEvent.objects.filter(**wanted).order_by("-at", "-id")
        if since := _day(self.asked["since"]):
            rows = rows.filter(at__gte=since)
        if until := _day(self.asked["until"]):
            rows = rows.filter(at__lt=until + timedelta(days=1))
        return rows

    @property
    def query(self) -> str:
        """The filters as they stand in an address."""
        return urlencode({name: value for name, value in self.asked.items() if value})

    @property
    def told(self) -> dict[str, str]:
        """The filters that are set."""
        return {name: value for name, value in self.asked.items() if value}


def page_of(rows: AuditRows, cursor: str) -> Page:
    """Return the page after a cursor (nonsense is the first page), by keyset."""
    place = _place(cursor)
    if place is not None:
        at, last = place
        rows = rows.filter(at__lte=at).exclude(at=at, id__gte=last)
    found = list(rows[: ROWS_A_PAGE + 1])
    if len(found) <= ROWS_A_PAGE:
        return Page(found, "")
    last_row = found[ROWS_A_PAGE - 1]
    return Page(found[:ROWS_A_PAGE], f"{last_row.at.isoformat()},{last_row.id}")


def _place(cursor: str) -> tuple[datetime, int] | None:
    at, _comma, row = cursor.partition(",")
    try:
        moment = parse_datetime(at)
    except ValueError:
        return None
    if moment is None or timezone.is_naive(moment) or not (row.isascii() and row.isdigit()):
        return None
    return (moment, int(row)) if len(row) < 19 else None


def _day(text: str) -> datetime | None:
    """Return the beginning of a day (ISO 8601) in the hospital's time zone."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    if day is None or not 1970 <= day.year <= 9000:
        return None
    return timezone.make_aware(datetime.combine(day, time()))
