"""When jobs may run: windows, a job and a moment in, a permit out. Nothing here asks the rows.

A window is told in local wall-clock time and belongs to the weekday on which it begins. A clock
time that comes twice (the night on which summer time ends) begins a window the first time and
ends one the last time; one that is left out is as much later as the clock is moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

ALWAYS = "0123456"
_WEEK = 8  # days to look ahead: a window of today that is over comes again in seven


@dataclass(frozen=True)
class Span:
    """A window: of which jobs it speaks (empty: of all), its weekdays (0 is Monday), its hours."""

    begins: time
    ends: time  # not after `begins`: on the next day
    weekdays: str = ALWAYS
    kind: str = ""
    vault: str = ""
    node: str = ""
    bytes_per_s: int | None = None  # of each job; None: any


@dataclass(frozen=True)
class Permit:
    """Whether a job may run now, until when that holds (None: for good), and how fast."""

    is_open: bool
    until: datetime | None = None
    bytes_per_s: int | None = None


ANY_TIME = Permit(is_open=True)


def permit(
    spans: Iterable[Span], about: tuple[str, str, str], now: datetime, zone: tzinfo
) -> Permit:
    """Return what the windows say of a job, `about` being its kind, vault and node.

    A job that none speaks of runs at any time. Where several are open, the most generous counts.
    """
    now = now.astimezone(UTC)  # comparisons across zones fail in an hour that comes twice
    speaking = [span for span in spans if speaks_of(span, about)]
    if not speaking:
        return ANY_TIME
    opened = [span for span in speaking if _end(span, now, zone) is not None]
    if not opened:
        return Permit(is_open=False, until=_next_opening(speaking, now, zone))
    rates = [span.bytes_per_s for span in opened if span.bytes_per_s is not None]
    limited = len(rates) == len(opened)
    return Permit(
        is_open=True,
        until=_closing(speaking, now, zone),
        bytes_per_s=max(rates) if limited else None,
    )


def speaks_of(span: Span, about: tuple[str, str, str]) -> bool:
    """Return whether a window speaks of jobs of this kind, vault and node."""
    told = (span.kind, span.vault, span.node)
    return all(not own or own == others for own, others in zip(told, about, strict=True))


def _end(span: Span, now: datetime, zone: tzinfo) -> datetime | None:
    """Return when the window that is open now ends, None where it is closed."""
    return max((end for begin, end in _around(span, now, zone) if begin <= now < end), default=None)


def _next_opening(spans: Sequence[Span], now: datetime, zone: tzinfo) -> datetime | None:
    found = (begin for span in spans for begin, end in _around(span, now, zone) if now < begin)
    return min(found, default=None)


def _closing(spans: Sequence[Span], now: datetime, zone: tzinfo) -> datetime | None:
    """Return when none of them is open any more, None where that is not within a week."""
    moment = now
    while moment < now + timedelta(days=_WEEK - 1):
        ends = [end for span in spans if (end := _end(span, moment, zone)) is not None]
        if not ends:
            return moment
        moment = max(ends)
    return None


def _around(span: Span, now: datetime, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
    """Yield when the window begins and ends, from yesterday's to next week's."""
    today = now.astimezone(zone).date()
    for days in range(-1, _WEEK + 1):
        day = today + timedelta(days=days)
        if str(day.weekday()) in span.weekdays:
            last = day if span.begins < span.ends else day + timedelta(days=1)
            yield _first(day, span.begins, zone), _last(last, span.ends, zone)


def _first(day: date, clock: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)


def _last(day: date, clock: time, zone: tzinfo) -> datetime:
    once, again = (datetime.combine(day, clock.replace(fold=fold), zone) for fold in (0, 1))
    return max(once.astimezone(UTC), again.astimezone(UTC))
