"""Rows of a query as elements: what C-FIND encodes and QIDO-RS writes as JSON.

An element is (tag, VR, value); the value is text with backslashes between several, a number,
None where it is absent, or for SQ a list of items, each a list of elements.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydicom.datadict import tag_for_keyword

from dicom_node.config import CONFIG
from dicom_node.index.attributes import Attribute, Level, Match
from dicom_node.index.cursors import rows
from dicom_node.index.moments import in_zone, zone_of
from dicom_node.index.query import MOMENTS, Query, answered, node_zone
from dicom_node.index.values import number_of

Element = tuple[int, str, Any]
Row = tuple[Any, ...]
_TEXTS_REMEMBERED = 1024  # instances of a series have most of them in common
INSTANCE_AVAILABILITY, RETRIEVE_AE_TITLE, TIMEZONE = 0x00080056, 0x00080054, 0x00080201


def find(query: Query) -> Iterator[list[Element]]:
    """Yield the elements of each match in the order of their tags; raises BadQuery before that."""
    found = rows(query)
    layout = _Layout(query)
    return (layout.elements(row) for row in found)


@dataclass
class _Layout:
    """How the rows of one query become elements: made once, used for every row."""

    query: Query
    _parts: list[tuple[int, str, Callable[[Row], Any]]] = field(default_factory=list)
    _own: list[tuple[int, int, str, Callable[[Row], Any]]] = field(default_factory=list)
    """Place, tag, VR and reader of what an instance does not share with its series."""
    _above: list[int] = field(default_factory=list)
    _last: list[Any] | None = None
    _known: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        attributes = answered(self.query)
        place = {attribute.path: number for number, attribute in enumerate(attributes)}
        in_items: dict[str, list[tuple[int, Attribute]]] = {}
        for number, attribute in enumerate(attributes):
            if attribute.sequence and not attribute.is_shown_only:
                in_items.setdefault(attribute.sequence, []).append((number, attribute))
            elif attribute.is_shown_only:
                continue
            else:
                self._parts.append((attribute.tag, attribute.vr, _reader(attribute, number)))
        for sequence, inside in in_items.items():
            inside.sort(key=lambda pair: pair[1].tag)
            self._parts.append((tag_for_keyword(sequence) or 0, "SQ", _items(inside)))
        self._add_shown([(n, a) for n, a in enumerate(attributes) if a.is_shown_only])
        self._parts.append((RETRIEVE_AE_TITLE, "AE", lambda _row: CONFIG.ae_title))
        if self.query.level is not Level.PATIENT:
            self._parts.append((INSTANCE_AVAILABILITY, "CS", _availability))
        if self.query.zone is not None:
            self._tell_in_zone(place)
        self._parts.sort(key=lambda part: part[0])
        self._note_what_is_shared(attributes)

    def elements(self, row: Row) -> list[Element]:
        """Return the elements of one row; what it shares with the one before is not read again."""
        above = [row[number] for number in self._above]
        if not above or above != self._last:
            self._last = above
            self._known = [(tag, vr, read(row)) for tag, vr, read in self._parts]
        found = self._known.copy()
        for place, tag, vr, read in self._own:
            found[place] = tag, vr, read(row)
        return found

    def _note_what_is_shared(self, attributes: list[Attribute]) -> None:
        """Note which columns tell of a series or what holds it, and which parts do not."""
        if self.query.level is not Level.IMAGE or self.query.zone is not None:
            return
        self._above = [n for n, a in enumerate(attributes) if a.level is not Level.IMAGE]
        own = [a for a in attributes if a.level is Level.IMAGE]
        tags = {tag_for_keyword(a.sequence) if a.sequence else a.tag for a in own}
        tags.add(INSTANCE_AVAILABILITY)
        self._own = [(n, *part) for n, part in enumerate(self._parts) if part[0] in tags]

    def _add_shown(self, shown: list[tuple[int, Attribute]]) -> None:
        """Add what lies in the instance's JSON, which is read once a row."""
        if not shown:
            return
        read = _Shown(shown[0][0])
        items: dict[str, list[Attribute]] = {}
        for _, attribute in shown:
            if attribute.sequence:
                items.setdefault(attribute.sequence, []).append(attribute)
            else:
                self._parts.append((attribute.tag, attribute.vr, read.value_of(attribute)))
        for sequence, inside in items.items():
            inside.sort(key=lambda attribute: attribute.tag)
            self._parts.append((tag_for_keyword(sequence) or 0, "SQ", read.items_of(inside)))

    def _tell_in_zone(self, place: dict[str, int]) -> None:
        """Tell dates and times at the request's offset, and which that is (PS3.4 C.4.1.1.3.2)."""
        zone = self.query.zone
        readers = {tag: read for tag, _, read in self._parts}
        told = {}
        for day, time in MOMENTS.items():
            if day in place and time in place and "TimezoneOffsetFromUTC" in place:
                days, times = place[day], place[time]
                held = place["TimezoneOffsetFromUTC"]

                def both(row: Row, days: int = days, times: int = times, held: int = held) -> Any:
                    own = zone_of(row[held]) or node_zone()
                    return in_zone(row[days], row[times], own, zone)

                told[tag_for_keyword(day)] = lambda row, both=both: both(row)[0]
                told[tag_for_keyword(time)] = lambda row, both=both: _time(both(row)[1])
        told[TIMEZONE] = lambda _row: self.query.offset_from_utc
        self._parts = [
            (tag, vr, told.get(tag, readers[tag])) for tag, vr, _ in self._parts if tag != TIMEZONE
        ]
        self._parts.append((TIMEZONE, "SH", told[TIMEZONE]))


class _Shown:
    """Reads an instance's JSON once for all the attributes of a row."""

    def __init__(self, number: int) -> None:
        self._number, self._row, self._held = number, None, {}

    def _of(self, row: Row) -> dict[str, str]:
        if row is not self._row:
            self._row, self._held = row, json.loads(row[self._number])
        return self._held

    def value_of(self, attribute: Attribute) -> Callable[[Row], Any]:
        path, clean = attribute.path, _CLEAN.get(attribute.vr, str)
        return lambda row: clean(text) if (text := self._of(row).get(path)) else None

    def items_of(self, inside: list[Attribute]) -> Callable[[Row], Any]:
        return lambda row: _zipped(inside, [self._of(row).get(a.path, "") for a in inside])


def _reader(attribute: Attribute, number: int) -> Callable[[Row], Any]:
    if attribute.match is Match.TIME:
        return lambda row: _time(row[number])
    clean = _CLEAN.get(attribute.vr)
    if clean and attribute.match is not Match.NUMBER and not attribute.is_derived:
        return lambda row: clean(row[number]) if row[number] else None
    return lambda row: row[number] if row[number] != "" else None


def _items(inside: list[tuple[int, Attribute]]) -> Callable[[Row], Any]:
    attributes = [attribute for _, attribute in inside]
    numbers = [number for number, _ in inside]
    return lambda row: _zipped(attributes, [row[number] for number in numbers])


def _zipped(attributes: list[Attribute], texts: list[str]) -> list[list[Element]]:
    """Return the items of a sequence whose values stand side by side."""
    columns = [text.split("\\") if text else [] for text in texts]
    length = max(map(len, columns), default=0)
    padded = [column + [""] * (length - len(column)) for column in columns]
    return [
        [(a.tag, a.vr, value or None) for a, value in zip(attributes, item, strict=True)]
        for item in zip(*padded, strict=True)
    ]


def _availability(row: Row) -> str:
    return row[-1]


def _time(text: str) -> str | None:
    return text.removesuffix(".000000") or None


@lru_cache(_TEXTS_REMEMBERED)
def _integers(text: str) -> str | None:
    numbers = [str(n) for part in text.split("\\") if (n := number_of(part)) is not None]
    return "\\".join(numbers) or None


@lru_cache(_TEXTS_REMEMBERED)
def _decimals(text: str) -> str | None:
    return text if all(map(_is_decimal, text.split("\\"))) else None


def _is_decimal(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


_CLEAN: dict[str, Callable[[str], Any]] = {"US": number_of, "IS": _integers, "DS": _decimals}
