"""A structured report as a tree that a page can show (PS3.3 C.17.3), whatever its template."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pacs_web.federation.dicom_json import Attributes, counts, items, numbers, person, text, values

MAX_DEPTH = 24
MAX_ITEMS = 20_000
SIMPLE = {
    "DATETIME": "DateTime",
    "DATE": "Date",
    "TIME": "Time",
    "UIDREF": "UID",
}


@dataclass
class Item:
    """One content item: its name, its value as text, and what lies below it."""

    kind: str
    name: str
    value: str = ""
    relation: str = ""
    images: list[dict[str, Any]] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)


def tree_of(report: Attributes) -> Item:
    """Return a report's content from its root; too deep or too many items are cut."""
    return _item(report, 0, [MAX_ITEMS])


def words_of(report: Attributes) -> Iterator[str]:
    """Yield the texts of the first level: what a key object says in words."""
    for one in items(report, "ContentSequence"):
        if text(one, "ValueType") == "TEXT":
            yield " ".join(map(str, values(one, "TextValue")))


def meaning(code: Attributes) -> str:
    """Return a code's meaning, else its value."""
    return text(code, "CodeMeaning") or text(code, "CodeValue")


def _item(found: Attributes, depth: int, left: list[int]) -> Item:
    kind = text(found, "ValueType") or "CONTAINER"
    name = next(iter(items(found, "ConceptNameCodeSequence")), {})
    made = Item(kind, meaning(name), _value(found, kind), text(found, "RelationshipType"))
    if kind in {"IMAGE", "COMPOSITE", "WAVEFORM"}:
        made.images = list(_references(found))
    if depth < MAX_DEPTH:
        for child in items(found, "ContentSequence"):
            if left[0] <= 0:
                break
            left[0] -= 1
            made.items.append(_item(child, depth + 1, left))
    return made


def _value(found: Attributes, kind: str) -> str:
    if kind == "TEXT":
        return "\n".join(map(str, values(found, "TextValue")))
    if kind == "PNAME":
        return person(found, "PersonName").replace("^", " ").strip()
    if kind == "CODE":
        return ", ".join(meaning(code) for code in items(found, "ConceptCodeSequence"))
    if kind == "NUM":
        return _measured(found)
    if kind in {"SCOORD", "SCOORD3D"}:
        return text(found, "GraphicType")
    return text(found, SIMPLE[kind]) if kind in SIMPLE else ""


def _measured(found: Attributes) -> str:
    """Return a measured value with its unit, or why there is none."""
    for one in items(found, "MeasuredValueSequence"):
        unit = next(iter(items(one, "MeasurementUnitsCodeSequence")), {})
        code = text(unit, "CodeValue")
        shown = "" if code in {"1", "{0:1}"} else code or meaning(unit)
        amount = numbers(one, "NumericValue")
        said = " ".join(f"{number:.10g}" for number in amount) or text(one, "NumericValue")
        return f"{said} {shown}".strip()
    missing = items(found, "NumericValueQualifierCodeSequence")
    return ", ".join(meaning(code) for code in missing)


def _references(found: Attributes) -> Iterator[dict[str, Any]]:
    for one in items(found, "ReferencedSOPSequence"):
        frames = counts(one, "ReferencedFrameNumber")
        yield {"uid": text(one, "ReferencedSOPInstanceUID"), "frames": frames}
