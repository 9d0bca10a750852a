"""Conditions on a study: read from a rule, met or not; what a study does not tell meets none."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from archive_node.ruling.facts import Facts
from pacs_common.errors import BadInput

_LISTS = ("nodes", "modalities", "departments")
_NUMBERS = {  # the largest that makes sense, and whether it is a whole number
    "study_age_days": (73_000, False),
    "unused_days": (73_000, False),
    "least_bytes": (2**62, True),
    "most_bytes": (2**62, True),
    "patient_age_from": (150, True),
    "patient_age_below": (150, True),
}
_MOST_TEXTS, _LONGEST_TEXT = 200, 200


@dataclass(frozen=True)
class Conditions:
    """All that are given must be met; texts are folded, ages are of today, 0 asks nothing."""

    nodes: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()
    description: str = ""
    study_age_days: float = 0
    unused_days: float = 0
    least_bytes: int = 0
    most_bytes: int = 0
    patient_age_from: int = 0
    patient_age_below: int = 0

    def met_by(self, facts: Facts, now: datetime) -> bool:
        """Whether a study meets them all at this moment."""
        return (
            (not self.nodes or facts.node in self.nodes)
            and (not self.modalities or bool(self.modalities.intersection(facts.modalities)))
            and (not self.least_bytes or facts.size_bytes >= self.least_bytes)
            and (not self.most_bytes or facts.size_bytes <= self.most_bytes)
            and self._texts(facts)
            and self._ages(facts, now)
        )

    def _texts(self, facts: Facts) -> bool:
        return (not self.departments or folded(facts.department) in self.departments) and (
            not self.description or self.description in folded(facts.description)
        )

    def _ages(self, facts: Facts, now: datetime) -> bool:
        if self.unused_days and _days(now, facts.last_used_at) < self.unused_days:
            return False
        if self.study_age_days:
            study = day_of(facts.study_date)
            if study is None or (now.date() - study).days < self.study_age_days:
                return False
        if not (self.patient_age_from or self.patient_age_below):
            return True
        born = day_of(facts.birth_date)
        return born is not None and self._of_age(_years(born, now.date()))

    def _of_age(self, years: int) -> bool:
        below = not self.patient_age_below or years < self.patient_age_below
        return below and years >= self.patient_age_from


def read(document: Any, nodes: Collection[str] | None = None) -> Conditions:
    """Return the conditions of a rule; BadInput names the one that makes no sense.

    With `nodes`, one that is not among them is refused. Null, empty and 0 ask nothing.
    """
    if not isinstance(document, Mapping):
        raise BadInput("conditions: not an object")
    known = {*_LISTS, "description", *_NUMBERS}
    for name in document:
        if name not in known:
            raise BadInput(f"conditions: {str(name)[:40]!r} is none that a rule has")
    given = {name: value for name, value in document.items() if value not in (None, [], "", 0)}
    lists = {name: _texts(name, given.get(name, [])) for name in _LISTS}
    for name in lists["nodes"]:
        if nodes is not None and name not in nodes:
            raise BadInput(f"nodes: no node is called {name[:40]!r} here")
    numbers: dict[str, Any] = {name: _number(name, given.get(name, 0)) for name in _NUMBERS}
    _check_order(numbers, "least_bytes", "most_bytes")
    _check_order(numbers, "patient_age_from", "patient_age_below")
    return Conditions(
        nodes=frozenset(lists["nodes"]),
        modalities=frozenset(text.upper() for text in lists["modalities"]),
        departments=frozenset(folded(text) for text in lists["departments"]),
        description=folded(_text("description", given.get("description", ""))),
        **numbers,
    )


def folded(text: str) -> str:
    """Return a text without case, accents and spaces at its ends."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold().strip()


def day_of(text: str) -> date | None:
    """Return a DICOM date (PS3.5 6.2, DA), or None where it is none."""
    if len(text) != 8 or not text.isascii() or not text.isdecimal():
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > _MOST_TEXTS:
        raise BadInput(f"{name}: not a list of at most {_MOST_TEXTS} texts")
    return [_text(name, one) for one in value]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isprintable():
        raise BadInput(f"{name}: not a text of at most {_LONGEST_TEXT} printable characters")
    return value.strip()


def _number(name: str, value: Any) -> float:
    most, is_whole = _NUMBERS[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= most:
        raise BadInput(f"{name}: not a number from 0 to {most}")
    if is_whole and value != int(value):
        raise BadInput(f"{name}: not a whole number")
    return int(value) if is_whole else value


def _check_order(numbers: Mapping[str, float], low: str, high: str) -> None:
    if numbers[high] and numbers[low] > numbers[high]:
        raise BadInput(f"{high}: less than {low}, so nothing meets both")


def _days(now: datetime, then: datetime) -> float:
    return (now - then).total_seconds() / 86400


def _years(born: date, today: date) -> int:
    had_birthday = (today.month, today.day) >= (born.month, born.day)
    return today.year - born.year - (0 if had_birthday else 1)
