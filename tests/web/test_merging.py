"""Lists of many servers as one: whatever lies where, each exam is told once and none is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_common.errors import BadQuery, PeerUnreachable
from pacs_web.federation.bookmark import Bookmark, Read, opened
from pacs_web.federation.dicom_json import Attributes, text
from pacs_web.federation.listing import FOREIGN_LIMIT, Listing, Page
from pacs_web.federation.order import Place, in_order, place_of
from pacs_web.federation.server import Abilities

SEARCH = "a search"


def study(uid: str, day: str = "", **more: Any) -> Attributes:
    """Return a study in DICOM JSON."""
    return {
        "0020000D": {"vr": "UI", "Value": [uid]},
        "00080020": {"vr": "DA", "Value": [day] if day else []},
        **more,
    }


@dataclass
class Held:
    """A server that holds studies, in the order or in none, as `Server` says."""

    name: str
    studies: list[Attributes]
    abilities: Abilities = field(default_factory=lambda: Abilities(keyset_order=True))
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    broken: bool = False

    def qido(self, path: str, params: Mapping[str, Any]) -> list[Attributes]:
        self.asked.append((path, dict(params)))
        if self.broken:
            raise PeerUnreachable(f"{self.name} is down")
        if path != "studies":
            return []
        found = in_order(self.studies) if self.abilities.keyset_order else self.studies
        uids = params.get("StudyInstanceUID", "").split(",")
        found = [one for one in found if uids == [""] or text(one, "StudyInstanceUID") in uids]
        if "after" in params:
            day, _, uid = params["after"].partition(",")
            found = [one for one in found if place_of(one).key > Place(day, uid).key]
        return found[: params["limit"]]


def pages(servers: list[Held], size: int, first: Page | None = None) -> list[Page]:
    """Return all pages of a list, each from the token of the one before."""
    listing = Listing(servers, {}, size=size, deadline_s=5)
    found = [first or listing.page()]
    while found[-1].following is not None:
        found.append(listing.page(opened(found[-1].following.token(SEARCH), SEARCH)))
        assert len(found) < 200, "a list has an end"
    return found


def uids(found: list[Page]) -> list[str]:
    """Return the studies of pages, in their order."""
    return [row.place.uid for page in found for row in page.rows]


DAYS = st.sampled_from(["", "20260101", "20260102", "20260102", "2026", "20251231"])
UIDS = st.integers(1, 40).map(lambda n: f"1.2.{n}")
HELD = st.dictionaries(UIDS, DAYS, max_size=30)
NODES = st.lists(st.tuples(st.sets(UIDS), st.booleans()), min_size=1, max_size=4)


@given(HELD, NODES, st.integers(1, 12))
def test_any_split_in_any_page_size_is_the_one_sorted_list(
    held: dict[str, str], nodes: list[tuple[set[str], bool]], size: int
) -> None:
    servers = [
        Held(
            f"N{n}", [study(uid, held[uid]) for uid in sorted(own & held.keys())], _abilities(kept)
        )
        for n, (own, kept) in enumerate(nodes)
    ]
    told = {uid for own, _ in nodes for uid in own & held.keys()}
    expected = [text(one, "StudyInstanceUID") for one in in_order(study(u, held[u]) for u in told)]
    found = pages(servers, size)
    assert uids(found) == expected
    assert all(len(page.rows) == size for page in found[:-1])
    copies = {row.place.uid: set(row.copies) for page in found for row in page.rows}
    assert copies == {
        uid: {f"N{n}" for n, (own, _) in enumerate(nodes) if uid in own} for uid in told
    }


@given(
    st.lists(st.dictionaries(UIDS, DAYS, max_size=15), min_size=1, max_size=4), st.integers(1, 9)
)
def test_copies_that_disagree_on_the_date_are_one_exam_at_its_newest(
    held: list[dict[str, str]], size: int
) -> None:
    servers = [
        Held(f"N{n}", [study(uid, day) for uid, day in own.items()]) for n, own in enumerate(held)
    ]
    newest: dict[str, str] = {}
    for own in held:
        for uid, day in own.items():
            newest[uid] = min(day, newest.get(uid, day), key=lambda one: Place(one, "").key)
    expected = in_order(study(uid, day) for uid, day in newest.items())
    assert uids(pages(servers, size)) == [text(one, "StudyInstanceUID") for one in expected]


@given(
    HELD, st.dictionaries(st.integers(41, 60).map(lambda n: f"1.2.{n}"), DAYS), st.integers(1, 6)
)
def test_arrivals_between_pages_repeat_nothing_and_hide_nothing(
    held: dict[str, str], new: dict[str, str], size: int
) -> None:
    servers = [
        Held("A", [study(uid, day) for uid, day in held.items() if len(uid) % 2]),
        Held("B", [study(uid, day) for uid, day in held.items() if not len(uid) % 2]),
    ]
    first = Listing(servers, {}, size=size, deadline_s=5).page()
    servers[0].studies += [study(uid, day) for uid, day in new.items()]
    told = uids(pages(servers, size, first))
    assert len(told) == len(set(told))
    before = [uid for uid in told if uid not in new]
    assert before == [
        text(o, "StudyInstanceUID") for o in in_order(study(*i) for i in held.items())
    ]


@given(st.lists(st.tuples(DAYS, UIDS)))
def test_the_order_is_that_of_a_node(places: list[tuple[str, str]]) -> None:
    by_uid = sorted(places, key=lambda one: one[1])
    newest_first = sorted(by_uid, key=lambda one: one[0], reverse=True)
    assert sorted((Place(*one) for one in places), key=lambda one: one.key) == newest_first


def _abilities(kept: bool) -> Abilities:
    return Abilities(keyset_order=kept)


class TestASilentServer:
    def test_is_named_on_every_page_and_delays_no_other(self) -> None:
        servers = [Held("A", [study(f"1.{n}") for n in range(5)]), Held("B", [], broken=True)]
        found = pages(servers, 2)
        assert [[one.node for one in page.failures] for page in found] == [["B"]] * 3
        assert len(uids(found)) == 5

    def test_that_comes_back_stays_out_until_the_search_is_made_again(self) -> None:
        late = Held("B", [study("1.9", "20260101")], broken=True)
        servers = [Held("A", [study(f"1.{n}") for n in range(5)]), late]
        first = Listing(servers, {}, size=2, deadline_s=5).page()
        late.broken = False
        found = pages(servers, 2, first)
        assert "1.9" not in uids(found)
        assert len(late.asked) == 1
        assert "search again" in found[-1].failures[0].reason

    def test_that_falls_silent_between_pages_is_named_from_then_on(self) -> None:
        servers = [Held(name, [study(f"{n}.{k}") for k in range(4)]) for n, name in enumerate("AB")]
        first = Listing(servers, {}, size=3, deadline_s=5).page()
        servers[1].broken = True
        found = pages(servers, 3, first)
        assert [one.node for one in found[-1].failures] == ["B"]
        assert uids(found) == ["0.0", "0.1", "0.2", "0.3"]

    def test_that_was_removed_is_named(self) -> None:
        servers = [Held(name, [study(f"{n}.{k}") for k in range(4)]) for n, name in enumerate("AB")]
        first = Listing(servers, {}, size=3, deadline_s=5).page()
        page = Listing(servers[:1], {}, size=3, deadline_s=5).page(first.following)
        assert [one.node for one in page.failures] == ["B"]


def test_a_server_that_breaks_its_own_order_is_named_instead_of_believed() -> None:
    class Unsorted(Held):
        def qido(self, path: str, params: Mapping[str, Any]) -> list[Attributes]:
            return self.studies

    for answers in (
        [study("1.1", "20250101"), study("1.2", "20260101")],
        [study("1.2"), study("1.1")],
        [study("1.1"), study("1.1")],
    ):
        page = Listing([Unsorted("ODD", answers)], {}, size=9, deadline_s=5).page()
        assert not page.rows
        assert page.failures[0].reason == "gave an answer that cannot be read"


def test_a_foreign_list_is_read_to_its_limit_and_marked_where_cut() -> None:
    held = [study(f"1.{n}", f"2026{n % 12 + 1:02d}01") for n in range(FOREIGN_LIMIT + 1)]
    server = Held("PACS", held, Abilities())
    found = pages([server], 400)
    assert len(uids(found)) == FOREIGN_LIMIT
    assert all(page.cut == ["PACS"] for page in found)
    server.studies = held[:FOREIGN_LIMIT]
    assert Listing([server], {}, size=5, deadline_s=5).page().cut == []


def test_each_page_asks_a_node_for_one_page_alone() -> None:
    server = Held("A", [study(f"1.{n:03d}") for n in range(100)])
    pages([server], 10)
    assert {params["limit"] for _, params in server.asked} == {11}
    assert len(server.asked) == 10


class TestABookmark:
    MARK = Bookmark(
        (Read("A", Place("20260101", "1.2"), False), Read("B", None, False), Read("C", None, True)),
        ("D",),
        Place("", "1.2"),
    )

    def test_comes_back_as_it_went(self) -> None:
        assert opened(self.MARK.token(SEARCH), SEARCH) == self.MARK

    @pytest.mark.parametrize("token", ["", "x", "a:b:c", "é", "."])
    def test_that_we_did_not_sign_is_refused(self, token: str) -> None:
        with pytest.raises(BadQuery):
            opened(token, SEARCH)

    def test_is_good_for_its_own_search_alone(self) -> None:
        with pytest.raises(BadQuery, match="another search"):
            opened(self.MARK.token(SEARCH), "another")
