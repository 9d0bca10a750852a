"""One page of the exams of many servers: asked at once, merged, resumed where the last ended."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.translation import gettext as _

from pacs_web.federation.bookmark import Bookmark, Read
from pacs_web.federation.dicom_json import Attributes, text
from pacs_web.federation.fan_out import Failure, Gathered, arrivals, fan_out
from pacs_web.federation.merging import Row, merge_lists
from pacs_web.federation.order import Place, in_order, kept_in_order, place_of
from pacs_web.federation.overlaps import resolved
from pacs_web.federation.server import Server

FOREIGN_LIMIT = 1000  # of a server that keeps no order, all must be read before the first is shown
AT_ONCE = 1000  # of one answer of a node
Query = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """What one server gave for a page: what follows its place, in order."""

    answers: list[Attributes]
    ended: bool
    cut: bool = False
    before: frozenset[str] = frozenset()  # studies that stand before this page
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page of exams: rows in order, who did not answer, whose answer was cut, where it goes on.

    `counts` tells how many exams each server gave for this page, `warnings` what each warned of.
    """

    rows: list[Row]
    failures: list[Failure] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    following: Bookmark | None = None
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Listing:
    """One question to several servers, whose answer is read page by page.

    `servers` are in the order of preference. All rounds of a page share one deadline.
    """

    def __init__(
        self, servers: Sequence[Server], query: Query, *, size: int, deadline_s: float
    ) -> None:
        self._servers = servers
        self._query = dict(query)
        self._size = size
        self._deadline_s = deadline_s

    def page(self, bookmark: Bookmark | None = None) -> Page:
        """Return the page behind a bookmark, or the first."""
        ends_at = time.monotonic() + self._deadline_s
        asked = self._asked(bookmark)
        gathered = fan_out(asked, lambda one: self._part(one, bookmark), self._deadline_s)
        return self._made(gathered, bookmark, ends_at)

    def first_page(self) -> Iterator[tuple[Page, bool]]:
        """Yield the first page each time that servers are heard, and whether this is the end."""
        ends_at = time.monotonic() + self._deadline_s
        gathered: Gathered[Part] = Gathered()
        for gathered in arrivals(
            self._servers, lambda one: self._part(one, None), self._deadline_s
        ):
            yield self._merged(gathered, None), False
        yield self._made(gathered, None, ends_at), True

    def _asked(self, bookmark: Bookmark | None) -> list[Server]:
        if bookmark is None:
            return list(self._servers)
        return [one for one in self._servers if one.name in bookmark.names]

    def _part(self, server: Server, bookmark: Bookmark | None) -> Part:
        read = bookmark.of(server.name) if bookmark else Read(server.name, None, False)
        if not server.abilities.keyset_order:
            return self._sorted_part(server, read.upto)
        if read.ended:
            return Part([], ended=True)
        return self._part_in_order(server, read.upto)

    def _part_in_order(self, server: Server, upto: Place | None) -> Part:
        found: list[Attributes] = []
        while len(found) <= self._size:
            count = min(self._size + 1 - len(found), AT_ONCE)
            params = {**self._query, "limit": count}
            if upto is not None:
                params["after"] = str(upto)
            answers = server.qido("studies", params)
            found += kept_in_order(answers, upto)
            if len(answers) < count:
                return Part(found, ended=True, warnings=warnings_of(answers))
            upto = place_of(found[-1])
        return Part(found, ended=False, warnings=warnings_of(answers))

    def _sorted_part(self, server: Server, upto: Place | None) -> Part:
        """Ask a server that keeps no order for all that it is read for, and skip what was shown."""
        found = server.qido("studies", {**self._query, "limit": FOREIGN_LIMIT + 1})
        listed = in_order(found[:FOREIGN_LIMIT])
        start = bisect_right(listed, upto.key, key=lambda one: place_of(one).key) if upto else 0
        before = frozenset(text(one, "StudyInstanceUID") for one in listed[:start])
        is_cut = len(found) > FOREIGN_LIMIT
        return Part(listed[start:], True, is_cut, before, warnings_of(found))

    def _made(self, gathered: Gathered[Part], bookmark: Bookmark | None, ends_at: float) -> Page:
        page = self._merged(gathered, bookmark)
        left_s = max(ends_at - time.monotonic(), 0.0)
        by_name = {one.name: one for one in self._servers if one.name in gathered.answers}
        rows = page.rows
        if bookmark is not None:
            shown = {uid for part in gathered.answers.values() for uid in part.before}
            shown |= self._shown(by_name, rows, bookmark, left_s)
            rows = [row for row in rows if row.place.uid not in shown]
        left_s = max(ends_at - time.monotonic(), 0.0)
        return _with_rows(page, resolved(rows, by_name, left_s))

    def _merged(self, gathered: Gathered[Part], bookmark: Bookmark | None) -> Page:
        parts = {
            one.name: gathered.answers[one.name]
            for one in self._servers
            if one.name in gathered.answers
        }
        merged = merge_lists({name: part.answers for name, part in parts.items()}, self._size)
        silent = [_left_out(name) for name in (bookmark.silent if bookmark else ())]
        gone = [_gone(name) for name in _missing(bookmark, self._servers)]
        failures = [*silent, *gone, *gathered.failures]
        return Page(
            merged.rows,
            failures,
            [name for name, part in parts.items() if part.cut],
            {name: len(part.answers) for name, part in parts.items()},
            _following(parts, merged.taken, merged.rows, bookmark, failures),
            {name: part.warnings for name, part in parts.items() if part.warnings},
        )

    def _shown(
        self, servers: Mapping[str, Server], rows: list[Row], bookmark: Bookmark, left_s: float
    ) -> set[str]:
        """Return the studies of `rows` that an earlier page has shown, by a copy of another date.

        The copies of a study may differ in its date; its row stands where the newest puts it.
        """
        uids = [row.place.uid for row in rows]
        asked = [one for one in servers.values() if one.abilities.keyset_order]
        if not uids or len(servers) < 2 or left_s <= 0:
            return set()
        params = {**self._query, "StudyInstanceUID": ",".join(uids), "limit": AT_ONCE}
        found = fan_out(asked, lambda one: one.qido("studies", params), left_s)
        return {
            text(one, "StudyInstanceUID")
            for answers in found.answers.values()
            for one in answers
            if place_of(one).key <= bookmark.shown.key
        }


def _with_rows(page: Page, rows: list[Row]) -> Page:
    return replace(page, rows=rows)


def warnings_of(answers: Sequence[Attributes]) -> tuple[str, ...]:
    """Return what a server warned of in its answer, where its client tells."""
    return tuple(getattr(answers, "warnings", ()))


def _following(
    parts: Mapping[str, Part],
    taken: Mapping[str, int],
    rows: list[Row],
    bookmark: Bookmark | None,
    failures: list[Failure],
) -> Bookmark | None:
    """Return where the next page begins; None where every server that answered was read out."""
    read = []
    for name, part in parts.items():
        count = taken[name]
        before = bookmark.of(name).upto if bookmark else None
        upto = place_of(part.answers[count - 1]) if count else before
        read.append(Read(name, upto, part.ended and count == len(part.answers)))
    if not rows or all(one.ended for one in read):
        return None
    return Bookmark(tuple(read), tuple(one.node for one in failures), rows[-1].place)


def _missing(bookmark: Bookmark | None, servers: Sequence[Server]) -> list[str]:
    known = {one.name for one in servers}
    return [name for name in (bookmark.names if bookmark else ()) if name not in known]


def _left_out(name: str) -> Failure:
    return Failure(name, _("did not answer before: search again to include it"))


def _gone(name: str) -> Failure:
    return Failure(name, _("is not searched any more"))
