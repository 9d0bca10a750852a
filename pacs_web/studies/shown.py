"""A page of found exams as the templates show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.urls import reverse
from django.utils.http import urlencode

from pacs_common.availability import BEING_REFILLED
from pacs_web.federation.fan_out import Failure
from pacs_web.federation.listing import FOREIGN_LIMIT, Page
from pacs_web.federation.search import studies_of
from pacs_web.federation.study import Study


@dataclass(frozen=True)
class Chip:
    """What one server does in a search: "asking", "found", "cut" or "silent"."""

    name: str
    state: str
    found: int = 0
    more: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Shown:
    """Exams, who did not answer, whose answer was cut, and the addresses of this page's next.

    `refilled` are servers that stand in for lost ones, whose exams are not all back yet.
    """

    studies: list[Study]
    failures: list[Failure]
    cut: list[str]
    more: str = ""
    first: bool = True
    limit: int = FOREIGN_LIMIT
    refilled: list[str] = field(default_factory=list)


def shown(page: Page, search_id: str, *, first: bool = True) -> Shown:
    """Return a page for the templates."""
    more = ""
    if page.following is not None:
        where = {"search": search_id, "page": page.following.token(search_id)}
        more = f"{reverse('search')}?{urlencode(where)}"
    refilled = [name for name, told in page.warnings.items() if BEING_REFILLED in told]
    exams = studies_of(page.rows)
    return Shown(exams, page.failures, page.cut, more, first, refilled=refilled)


def chips(names: Iterable[str], page: Page | None, size: int) -> list[Chip]:
    """Return a chip for each server that was asked, in their order."""
    return [_chip(name, page, size) for name in names]


def _chip(name: str, page: Page | None, size: int) -> Chip:
    if page is None:
        return Chip(name, "asking")
    silent = next((one for one in page.failures if one.node == name), None)
    if silent is not None:
        return Chip(name, "silent", reason=silent.reason)
    if name not in page.counts:
        return Chip(name, "asking")
    found = page.counts[name]
    state = "cut" if name in page.cut else "found"
    return Chip(name, state, min(found, size), found > size)
