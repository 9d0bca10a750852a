"""What the archive's pages compute: plots, durations, and the bar code of a label."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_common.errors import BadInput
from pacs_web.archive import plots
from pacs_web.archive.code39 import NARROW, QUIET, pattern_of, symbol_of
from pacs_web.archive.moments import duration, moment
from pacs_web.archive.waiting import in_words

# ISO/IEC 16388, table 1: bars and spaces in turn, 1 wide.
CODE_39 = {
    "1": "100100001", "2": "001100001", "3": "101100000", "4": "000110001", "5": "100110000",
    "6": "001110000", "7": "000100101", "8": "100100100", "9": "001100100", "0": "000110100",
    "A": "100001001", "B": "001001001", "C": "101001000", "D": "000011001", "E": "100011000",
    "F": "001011000", "G": "000001101", "H": "100001100", "I": "001001100", "J": "000011100",
    "K": "100000011", "L": "001000011", "M": "101000010", "N": "000010011", "O": "100010010",
    "P": "001010010", "Q": "000000111", "R": "100000110", "S": "001000110", "T": "000010110",
    "U": "110000001", "V": "011000001", "W": "111000000", "X": "010010001", "Y": "110010000",
    "Z": "011010000", "-": "010000101", ".": "110000100", " ": "011000100", "*": "010010100",
    "$": "010101000", "/": "010100010", "+": "010001010", "%": "000101010",
}  # fmt: skip
LABELS = st.text(sorted(set(CODE_39) - {"*"}), min_size=1, max_size=8)


class TestCode39:
    @pytest.mark.parametrize("sign", CODE_39)
    def test_writes_each_sign_as_the_standard_does(self, sign: str) -> None:
        assert pattern_of(sign).replace("N", "0").replace("W", "1") == CODE_39[sign]

    @given(LABELS)
    def test_a_reader_gets_the_text_back(self, text: str) -> None:
        symbol = symbol_of(text)
        edges = [edge for bar in symbol.bars for edge in (bar.x, bar.x + bar.width)]
        assert edges[0] == QUIET and symbol.width - edges[-1] == QUIET
        widths = [after - before for before, after in pairwise(edges)]
        signs = {pattern: sign for sign, pattern in CODE_39.items()}
        read = "".join(
            signs["".join("0" if width == NARROW else "1" for width in widths[at : at + 9])]
            for at in range(0, len(widths), 10)
        )
        assert read == f"*{text}*"

    def test_small_letters_are_written_as_great_ones(self) -> None:
        assert symbol_of("a1").bars == symbol_of("A1").bars

    @pytest.mark.parametrize("text", ["", "*", "A_1", "é", "A\n"])
    def test_refuses_what_it_has_no_sign_for(self, text: str) -> None:
        with pytest.raises(BadInput):
            symbol_of(text)


class TestPlots:
    @given(st.floats(1, 1e15), st.lists(st.floats(0, 1e15), max_size=5))
    def test_parts_stand_side_by_side_within_the_whole(
        self, total: float, amounts: list[float]
    ) -> None:
        boxes = plots.fill(total, [(str(n), amount) for n, amount in enumerate(amounts)])
        ends = [(float(box.x), float(box.x) + float(box.width)) for box in boxes]
        assert all(0 <= begin <= end <= plots.WIDTH + 0.2 for begin, end in ends)
        assert all(after[0] >= before[1] - 0.2 for before, after in pairwise(ends))

    def test_nothing_of_nothing_is_no_part(self) -> None:
        assert plots.fill(0, [("used", 10)]) == []

    def test_a_line_leaves_out_the_days_that_are_unknown(self) -> None:
        assert plots.line([0.5, None, 1.0]) == "0,50 1000,0"
        assert plots.line([None, 0.5]) == ""
        assert plots.under("") == ""

    def test_columns_are_as_high_as_their_share_of_the_greatest(self) -> None:
        low, high = plots.columns([1, 0, 4], ["a", "b", "c"])
        assert (low.y, low.height, low.title) == ("75", "25", "a")
        assert (high.y, high.height, high.title) == ("0", "100", "c")
        assert plots.columns([0, 0], ["a", "b"]) == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"), (59.4, "59 s"), (60, "1 min"), (3_599, "59 min"), (3_600, "1 h 00 min"),
        (86_399, "23 h 59 min"), (86_400, "1 d 0 h"), (3 * 86_400 + 4 * 3_600 + 59, "3 d 4 h"),
    ],
)  # fmt: skip
def test_a_duration_is_told_by_its_two_greatest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize("raw", [None, "", "yesterday", 0])
def test_a_moment_that_is_none_is_none(raw: object) -> None:
    assert moment(raw) is None


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("volume A1 of vault-1", "an operator to insert volume A1"),
        ("space on CT", "room on CT"),
        ("job 7", "job 7, which has its volume mounted"),
        ("cold storage", "cold storage to bring it out, which takes hours"),
        ("its window", "the hours in which it may run"),
        ("the moon", "the moon"),
        ("", ""),
    ],
)
def test_what_is_waited_for_is_told_in_words(told: str, said: str) -> None:
    assert in_words(told) == said
