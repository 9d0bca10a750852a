"""Which part of a list is asked for: limit and offset."""

from __future__ import annotations

from collections.abc import Mapping

from pacs_common import errors

MOST = 1000
USUAL = 100


def part(asked: Mapping[str, str]) -> slice:
    """Return the slice that `limit` and `offset` mean; raises BadInput."""
    limit = number("limit", asked.get("limit", str(USUAL)), 1, MOST)
    offset = number("offset", asked.get("offset", "0"), 0, 2**31)
    return slice(offset, offset + limit)


def number(name: str, text: str, low: int, high: int) -> int:
    """Return a number within [low, high] that an address names; raises BadInput."""
    short = text.isascii() and text.isdecimal() and len(text) <= len(str(high))
    if not short or not low <= int(text) <= high:
        raise errors.BadInput(f"{name} is a number from {low} to {high}")
    return int(text)
