"""The header of an image as rows of a page: every element, searchable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Element = dict[str, Any]


def rows_of(elements: Iterable[Element], asked: str = "") -> list[Element]:
    """Return the elements whose tag, name, keyword or value holds `asked`, ready for a page.

    A sequence is kept where one of the elements inside is found, and is then shown open.
    """
    return [row for element in elements if (row := _row(element, asked.casefold())) is not None]


def count(rows: Iterable[Element]) -> int:
    """Return how many elements there are, nested ones included."""
    return sum(1 + sum(count(item["elements"]) for item in row["nested"]) for row in rows)


def _row(element: Element, asked: str) -> Element | None:
    matches = asked in searchable(element)
    within = "" if matches else asked
    items = [
        {"number": number, "elements": rows_of(item, within)}
        for number, item in enumerate(element.get("items") or [], 1)
    ]
    nested = [item for item in items if item["elements"] or matches]
    if not matches and not nested:
        return None
    return {
        **element,
        "text": searchable(element),
        "nested": nested,
        "opened": bool(asked) and not matches,
    }


def searchable(element: Element) -> str:
    """Return what an element is searched by; a tag is found with and without its signs."""
    tag = str(element.get("tag", ""))
    plain = tag.strip("()").replace(",", "")
    said = (tag, plain, element.get("vr"), element.get("name"), element.get("keyword"))
    private = "private" if element.get("private") else ""
    return " ".join(str(part or "") for part in (*said, element.get("value"), private)).casefold()
