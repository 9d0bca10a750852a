"""Asking many nodes at once, and making one answer of theirs."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, NotFound, PeerUnreachable
from pacs_web.federation.dicom_json import day, numbers, person, text, whole
from pacs_web.federation.fan_out import fan_out
from pacs_web.federation.part import only_part
from pacs_web.federation.search import merge
from pacs_web.federation.study import study_of


def named(*names: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(name=name) for name in names]


class TestFanOut:
    def test_gathers_answers_and_failures_in_the_order_of_the_nodes(self) -> None:
        def ask(node: SimpleNamespace) -> str:
            if node.name in "bd":
                raise PeerUnreachable("refused")
            return node.name.upper()

        gathered = fan_out(named("a", "b", "c", "d"), ask, 5)
        assert gathered.answers == {"a": "A", "c": "C"}
        assert list(gathered.answers) == ["a", "c"]
        assert [failure.node for failure in gathered.failures] == ["b", "d"]

    def test_asks_all_at_the_same_time(self) -> None:
        together = threading.Barrier(4)
        gathered = fan_out(named(*"abcd"), lambda node: together.wait(5), 5)
        assert len(gathered.answers) == 4

    def test_gives_up_what_hangs_at_the_one_deadline(self) -> None:
        released = threading.Event()

        def ask(node: SimpleNamespace) -> str:
            if node.name != "quick":
                released.wait(20)
            return "answer"

        begun = time.monotonic()
        gathered = fan_out(named("slow", "quick", "slower"), ask, 0.2)
        waited = time.monotonic() - begun
        released.set()
        assert gathered.answers == {"quick": "answer"}
        assert [failure.node for failure in gathered.failures] == ["slow", "slower"]
        assert "no answer within 0.2 s" in gathered.failures[0].reason
        assert waited < 10

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (PeerUnreachable("http://x: connection refused"), "cannot be reached"),
            (PeerUnreachable("http://x: did not answer in time"), "does not answer in time"),
            (NotFound("no such thing"), "refused the question (Not found)"),
            (ArgensError("odd"), "refused the question (Internal error)"),
            (KeyError("studies"), "gave an answer that cannot be read"),
        ],
    )
    def test_says_why_a_node_gave_no_answer(self, error: Exception, reason: str) -> None:
        def ask(node: SimpleNamespace) -> None:
            raise error

        (failure,) = fan_out(named("a"), ask, 5).failures
        assert failure.reason == reason
        assert failure.detail == str(error)

    def test_without_nodes_there_is_nothing_to_ask(self) -> None:
        assert fan_out([], lambda node: node, 5).answers == {}


def answer(uid: str, date: str, instances: int = 1, availability: str = "ONLINE") -> dict:
    return {
        "0020000D": {"vr": "UI", "Value": [uid]},
        "00080020": {"vr": "DA", "Value": [date]},
        "00201208": {"vr": "IS", "Value": [instances]},
        "00080056": {"vr": "CS", "Value": [availability]},
    }


class TestMerging:
    def test_one_row_for_each_study_newest_first(self) -> None:
        a = [study_of("A", answer("1.1", "20260101")), study_of("A", answer("1.2", "20260301"))]
        b = [study_of("B", answer("1.3", "20260201")), study_of("B", answer("1.1", "20260101"))]
        rows = merge([a, b])
        assert [(row.uid, row.nodes) for row in rows] == [
            ("1.2", ("A",)),
            ("1.3", ("B",)),
            ("1.1", ("A", "B")),
        ]

    def test_the_more_complete_copy_leads(self) -> None:
        small, large = answer("1.1", "20260101", 3), answer("1.1", "20260101", 9)
        (row,) = merge([[study_of("A", small)], [study_of("B", large)]])
        assert (row.nodes, row.instances) == (("B", "A"), 9)

    def test_of_equal_copies_the_available_one_leads(self) -> None:
        away, here = answer("1.1", "20260101", 3, "NEARLINE"), answer("1.1", "20260101", 3)
        (row,) = merge([[study_of("A", away)], [study_of("B", here)]])
        assert (row.nodes, row.availability) == (("B", "A"), Availability.ONLINE)

    @given(st.lists(st.lists(st.tuples(st.integers(1, 30), st.dates()), max_size=20), max_size=4))
    def test_nothing_is_lost_and_nothing_is_told_twice(self, held: list) -> None:
        answers = [
            [study_of(f"N{n}", answer(f"1.{uid}", f"{on:%Y%m%d}")) for uid, on in studies]
            for n, studies in enumerate(held)
        ]
        rows = merge(answers)
        assert {row.uid for row in rows} == {f"1.{uid}" for node in held for uid, _ in node}
        assert len({row.uid for row in rows}) == len(rows)
        assert [row.date for row in rows] == sorted((row.date for row in rows), reverse=True)


class TestOnlyPart:
    @given(st.binary(max_size=2000), st.integers(1, 300))
    def test_yields_exactly_the_file_however_the_blocks_fall(
        self, content: bytes, block: int
    ) -> None:
        boundary = "b0undary"
        if b"\r\n--b0undary" in content:
            return
        body = (
            b"--b0undary\r\nContent-Type: application/dicom\r\n\r\n"
            + content
            + b"\r\n--b0undary--\r\n"
        )
        blocks = [body[at : at + block] for at in range(0, len(body), block)]
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        assert b"".join(only_part(kind, blocks)) == content

    def test_a_plain_file_passes_as_it_is(self) -> None:
        assert list(only_part("application/dicom", [b"a", b"b"])) == [b"a", b"b"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"--x\r\nContent-Type: a\r\n\r\nhalf a fi",
            b"--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--",
            b"no delimiter at all\r\n\r\n",
            b"--x" + b"h" * 100_000,
        ],
    )
    def test_a_body_that_is_not_one_whole_file_is_refused(self, body: bytes) -> None:
        with pytest.raises(PeerUnreachable):
            b"".join(only_part("multipart/related; boundary=x", [body]))

    def test_a_multipart_answer_without_a_boundary_is_refused(self) -> None:
        with pytest.raises(PeerUnreachable):
            list(only_part("multipart/related", [b"x"]))


class TestDicomJson:
    @given(st.dictionaries(st.just("00100010"), st.dictionaries(st.just("Value"), st.none())))
    def test_empty_elements_read_as_nothing(self, attributes: dict) -> None:
        assert person(attributes, "PatientName") == ""
        assert text(attributes, "PatientID") == ""
        assert whole(attributes, "Rows") is None
        assert numbers(attributes, "WindowCenter") == []

    def test_a_name_without_its_alphabetic_form_is_still_shown(self) -> None:
        attributes = {"00100010": {"vr": "PN", "Value": [{"Ideographic": "山田^太郎"}]}}
        assert person(attributes, "PatientName") == "山田^太郎"

    @given(st.text(max_size=12))
    def test_any_text_is_a_day_or_none(self, raw: str) -> None:
        found = day(raw)
        assert found is None or found.year >= 1
