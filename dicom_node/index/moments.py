"""Dates and times as ranges: what a key says, alone, combined, and in another time zone.

PS3.4 C.2.2.2.5. Dates are YYYYMMDD, times HHMMSS.FFFFFF, as the index holds them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo

from dicom_node.index.values import date_of, time_of
from pacs_common.errors import BadQuery

_DATE = re.compile(r"[0-9]{8}\Z")
_TIME = re.compile(r"[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:\.[0-9]{1,6})?)?)?\Z")
_OFFSET = re.compile(r"([+-])([0-9]{2})([0-9]{2})\Z")
_MOMENT = "%Y%m%d%H%M%S.%f"
FIRST_TIME, LAST_TIME = "000000.000000", "235959.999999"


@dataclass(frozen=True)
class Range:
    """A range with both ends in it; "" leaves an end open."""

    low: str = ""
    high: str = ""


def dates(value: str) -> Range:
    """Return the range of a DA key; raises BadQuery."""
    return _range(_day, value)


def times(value: str) -> Range:
    """Return the range of a TM key; raises BadQuery."""
    return _range(_moment, value)


def combined(day: Range, time: Range) -> Range:
    """Return one range of date and time from the two keys: from the first's start to its end."""
    low = day.low + (time.low or FIRST_TIME) if day.low else ""
    high = day.high + (time.high or LAST_TIME) if day.high else ""
    return Range(low, high)


def offset_of(text: str) -> timedelta | None:
    """Return an offset from UTC (+HHMM, PS3.5 6.2 DT), None where it is none."""
    found = _OFFSET.match(text.strip())
    if not found:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    if offset > timedelta(hours=14):
        return None
    return -offset if found[1] == "-" else offset


def zone_of(text: str) -> tzinfo | None:
    """Return the zone of an offset from UTC, None where it is none."""
    offset = offset_of(text)
    return None if offset is None else timezone(offset)


def moved(moments: Range, asked: timedelta, held: tzinfo) -> Range:
    """Return a range of date and time that is told at one offset as it stands in another zone."""
    return Range(*(_moved(end, timezone(asked), held) for end in (moments.low, moments.high)))


def in_zone(day: str, time: str, held: tzinfo, asked: timedelta) -> tuple[str, str]:
    """Return a stored date and time as they stand at the asked offset; as they are if not both."""
    try:
        moment = datetime.strptime(f"{day}{time}", _MOMENT)
    except ValueError:
        return day, time
    try:
        text = moment.replace(tzinfo=held).astimezone(timezone(asked)).strftime(_MOMENT)
    except OverflowError:
        return day, time
    return text[:8], text[8:]


def _moved(text: str, asked: tzinfo, held: tzinfo) -> str:
    if not text:
        return ""
    try:
        moment = datetime.strptime(text.replace("60.", "59.", 1), _MOMENT)
        return moment.replace(tzinfo=asked).astimezone(held).strftime(_MOMENT)
    except (ValueError, OverflowError):
        return text


def _range(low_high: Callable[[str], tuple[str, str]], value: str) -> Range:
    first, dash, last = value.partition("-")
    if not dash:
        return Range(*low_high(value))
    low = low_high(first.strip())[0] if first.strip() else ""
    high = low_high(last.strip())[1] if last.strip() else ""
    if not low and not high:
        raise BadQuery(f"{value[:40]!r} is no range")
    return Range(low, high)


def _day(text: str) -> tuple[str, str]:
    plain = date_of(text) if "." in text else text
    if not _DATE.match(plain):
        raise BadQuery(f"{text[:40]!r} is not a date (YYYYMMDD)")
    try:
        date(int(plain[:4]), int(plain[4:6]), int(plain[6:]))
    except ValueError:
        raise BadQuery(f"{text[:40]!r} is not a day of the calendar") from None
    return plain, plain


def _moment(text: str) -> tuple[str, str]:
    plain = text.replace(":", "")
    if not _TIME.match(plain):
        raise BadQuery(f"{text[:40]!r} is not a time (HHMMSS)")
    whole, _, fraction = plain.partition(".")
    if int(whole[:2]) > 23 or int(whole[2:4] or 0) > 59 or int(whole[4:6] or 0) > 60:
        raise BadQuery(f"{text[:40]!r} is not a time of the day")
    last = (whole + "235959"[len(whole) :])[:6] if len(whole) < 6 else whole
    return time_of(plain), f"{last}.{fraction:9<6}"
