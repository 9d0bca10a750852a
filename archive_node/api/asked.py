"""What a request's address asks for: numbers and pages of lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from pacs_common import errors

MOST = 1000


def number(name: str, text: str, low: int, high: int) -> int:
    """Return a whole number within [low, high]; raises BadInput."""
    short = text.isascii() and text.isdecimal() and len(text) <= len(str(high))
    if not short or not low <= int(text) <= high:
        raise errors.BadInput(f"{name} is a number from {low} to {high}")
    return int(text)


def page(rows: QuerySet[Any] | list[Any], asked: Mapping[str, str], default: int = 100) -> Any:
    """Return the rows that `limit=` and `offset=` ask for; raises BadInput."""
    limit = number("limit", asked.get("limit", str(default)), 1, MOST)
    offset = number("offset", asked.get("offset") or "0", 0, 2**31)
    return rows[offset : offset + limit]


def text(body: Mapping[str, Any], name: str, most: int, *, empty: bool = False) -> str:
    """Return a printable text of a body, without spaces at its ends; raises BadInput."""
    value = body.get(name, "" if empty else None)
    given = value.strip() if isinstance(value, str) else None
    if given is None or len(given) > most or not given.isprintable() or not (given or empty):
        least = "at most" if empty else "1 to"
        raise errors.BadInput(f"{name} is a text of {least} {most} printable characters")
    return given


def choice(body: Mapping[str, Any], name: str, choices: list[str]) -> str:
    """Return one of some words; raises BadInput."""
    value = body.get(name)
    if value not in choices or not isinstance(value, str):
        raise errors.BadInput(f"{name} is one of {', '.join(choices)}")
    return value
