"""Forwarding rules, pure: a document, facts of an instance and a moment in; what to do out.

The document is JSON: {"rules": [RULE, ...]}; docs/forwarding.md shows one. A condition that a rule
does not name is met by everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Any

from dicom_node.index.names import fold_text
from pacs_common.errors import BadInput

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PRIORITIES = {"low": -1, "normal": 0, "high": 1}
MAX_QUIET_S = 86400
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d\Z")
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}\Z")  # PS3.5 6.2
_WINDOW_KEYS = {"from", "to", "days"}
_RULE_KEYS = {
    *("name", "enabled", "destination", "source_ae", "called_ae", "modality", "description"),
    *("hours", "send_hours", "quiet_s", "priority", "commit"),
}


@dataclass(frozen=True)
class Window:
    """Hours of a day; one that ends at or before its start goes on into the next day."""

    start: time
    end: time
    days: frozenset[int]

    def contains(self, moment: datetime) -> bool:
        """Whether a local moment lies within; a night belongs to the day on which it began."""
        clock, day = moment.time(), moment.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= clock < self.end
        eve = (moment - timedelta(days=1)).weekday()
        return (day in self.days and clock >= self.start) or (eve in self.days and clock < self.end)


@dataclass(frozen=True)
class Facts:
    """What rules look at; `arrived_at` is local time in the node's zone."""

    source_ae: str
    called_ae: str
    modality: str
    description: str
    arrived_at: datetime


@dataclass(frozen=True)
class Rule:
    """Which instances go to a destination, when, and how urgently."""

    name: str
    destination: str
    enabled: bool = True
    source_ae: tuple[str, ...] = ()
    called_ae: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    hours: tuple[Window, ...] = ()
    send_hours: tuple[Window, ...] = ()
    quiet_s: float = 0
    priority: int = 0
    commit: bool = False

    def takes(self, facts: Facts) -> bool:
        """Whether an instance is to be sent; text matches by wild card, case and accents aside."""
        return (
            self.enabled
            and _matches(self.source_ae, facts.source_ae)
            and _matches(self.called_ae, facts.called_ae)
            and _matches(self.modality, facts.modality)
            and _matches(self.description, facts.description)
            and _within(self.hours, facts.arrived_at)
        )

    def may_send(self, moment: datetime) -> bool:
        """Whether the hours of sending are open at a local moment."""
        return _within(self.send_hours, moment)


def parse(document: Any) -> tuple[Rule, ...]:
    """Return the rules of a JSON document; BadInput names the rule and what is wrong with it."""
    rules = document.get("rules") if isinstance(document, Mapping) else None
    if not isinstance(rules, list) or set(document) != {"rules"}:
        raise BadInput('the rules are not of the form {"rules": [...]}')
    found = tuple(_rule(entry, number) for number, entry in enumerate(rules, start=1))
    names = [rule.name for rule in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"two rules are called {twice[0]!r}")
    return found


def _rule(entry: Any, number: int) -> Rule:
    if not isinstance(entry, Mapping):
        raise BadInput(f"rule {number} is not an object")
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > 64 or not name.isprintable():
        raise BadInput(f"rule {number} has no name of 1 to 64 printable characters")
    try:
        unknown = sorted(set(entry) - _RULE_KEYS)
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not something that a rule has")
        return Rule(
            name=name.strip(),
            destination=_destination(entry.get("destination")),
            enabled=_flag(entry, "enabled", True),
            **{
                key: _patterns(entry, key)
                for key in ("source_ae", "called_ae", "modality", "description")
            },
            hours=_windows(entry, "hours"),
            send_hours=_windows(entry, "send_hours"),
            quiet_s=_quiet(entry.get("quiet_s", 0)),
            priority=_priority(entry.get("priority", "normal")),
            commit=_flag(entry, "commit", False),
        )
    except ValueError as error:
        raise BadInput(f"rule {name.strip()!r}: {error}") from None


def _destination(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not _AE_TITLE.match(value.strip()):
        raise ValueError("destination is not an AE title")
    return value.strip()


def _flag(entry: Mapping[str, Any], key: str, default: bool) -> bool:
    value = entry.get(key, default)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is neither true nor false")
    return value


def _patterns(entry: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return folded wild cards; `[` stands for itself, since DICOM knows * and ? only."""
    value = entry.get(key, [])
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(p, str) and p.strip() for p in listed):
        raise ValueError(f"{key} is neither a text nor a list of texts")
    return tuple(fold_text(pattern.strip()).replace("[", "[[]") for pattern in listed)


def _windows(entry: Mapping[str, Any], key: str) -> tuple[Window, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list of hours")
    return tuple(_window(one, key) for one in value)


def _window(value: Any, key: str) -> Window:
    if not isinstance(value, Mapping) or set(value) - _WINDOW_KEYS:
        raise ValueError(f'{key}: not of the form {{"from": "18:30", "to": "08:00", "days": []}}')
    days = value.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not set(map(str, days)) <= set(DAYS):
        raise ValueError(f"{key}: days are some of {', '.join(DAYS)}")
    start, end = (_clock(value.get(edge), key) for edge in ("from", "to"))
    return Window(start, end, frozenset(DAYS.index(day) for day in days))


def _clock(value: Any, key: str) -> time:
    if not isinstance(value, str) or not _CLOCK.match(value):
        raise ValueError(f"{key}: {value!r} is not a time of day like 18:30")
    return time.fromisoformat(value)


def _quiet(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_QUIET_S:
        raise ValueError(f"quiet_s is not a number of seconds from 0 to {MAX_QUIET_S}")
    return float(value)


def _priority(value: Any) -> int:
    if not isinstance(value, str) or value not in PRIORITIES:
        raise ValueError(f"priority is one of {', '.join(PRIORITIES)}")
    return PRIORITIES[value]


def _matches(patterns: Iterable[str], text: str) -> bool:
    wanted = tuple(patterns)
    folded = fold_text(text.strip())
    return not wanted or any(fnmatchcase(folded, pattern) for pattern in wanted)


def _within(windows: tuple[Window, ...], moment: datetime) -> bool:
    return not windows or any(window.contains(moment) for window in windows)
