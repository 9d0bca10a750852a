"""Windows on a week's grid: seven rows of a day, in minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DAY_MINUTES = 24 * 60
DAYS = 7


@dataclass(frozen=True)
class Span:
    """A piece of a window on one day (0 is Monday), from a minute up to another."""

    day: int
    begins: int
    ends: int


def spans_of(window: Mapping[str, Any]) -> list[Span]:
    """Return the pieces of a window: one that ends before it begins goes on over midnight."""
    begins, ends = minutes_of(window["begins"]), minutes_of(window["ends"])
    pieces: list[Span] = []
    for sign in sorted(set(str(window.get("weekdays", "")))):
        if sign not in "0123456":
            continue
        day = int(sign)
        if begins < ends:
            pieces.append(Span(day, begins, ends))
            continue
        pieces.append(Span(day, begins, DAY_MINUTES))
        if ends:
            pieces.append(Span((day + 1) % DAYS, 0, ends))
    return pieces


def lanes_of(windows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return a lane for each window, so that two that meet on a day do not cover each other."""
    lanes: list[list[Span]] = []
    chosen: list[int] = []
    for window in windows:
        spans = spans_of(window)
        free = (index for index, lane in enumerate(lanes) if not _meet(lane, spans))
        index = next(free, len(lanes))
        if index == len(lanes):
            lanes.append([])
        lanes[index] += spans
        chosen.append(index)
    return chosen


def minutes_of(text: str) -> int:
    """Return "20:30" as minutes since midnight; seconds do not count."""
    hours, minutes = str(text).split(":")[:2]
    return int(hours) * 60 + int(minutes)


def _meet(some: Iterable[Span], others: Iterable[Span]) -> bool:
    others = list(others)
    return any(
        one.day == other.day and one.begins < other.ends and other.begins < one.ends
        for one in some
        for other in others
    )
