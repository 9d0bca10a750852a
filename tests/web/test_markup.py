"""The words of clinical documents, whatever somebody put into one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_common.errors import CannotRender
from pacs_web.viewer.markup import MOST_LINES, MOST_PIECES, lines_of

PIECES = [
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "<!DOCTYPE x [",
    "]",
    "&lt;",
]
PIECES += ["<p>", "</p>", '<b a="', '"', "'", "<script>", "</script>", "<style/>", "x", " ", "<td>"]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("<p>a<b>b</b></p><p>c</p>", ["ab", "c"]),
        ('<p title="x>y">a</p>', ["a"]),
        ("<p>1 < 2 &amp;&lt; 3</p>", ["1 < 2 &< 3"]),
        ("<p><!-- <p>no</p> -->a</p>", ["a"]),
        ("<text><![CDATA[a <b> c]]></text>", ["a <b> c"]),
        ("<script>if (a<b) alert('</p>')</script>a", ["a"]),
        ("<style>p {}</STYLE >a<head><p>no</p>no</head><p>b", ["a", "b"]),
        ("<style/>a<script src='x'/>b", ["ab"]),
        ("<tr><td>a</td><td>b</td></tr>", ["a b"]),
        ('<!doctype x [<!ENTITY a "<p>no</p>">]><p>&a;</p>', ["&a;"]),
        ("a<p", ["a"]),
        ("a<!-- b", ["a"]),
        ("", []),
    ],
)
def test_words_stand_in_lines_and_markup_is_gone(source: str, lines: list[str]) -> None:
    assert lines_of(source) == lines


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_markup_has_words_or_none(pieces: list[str]) -> None:
    assert all(line.strip() == line != "" for line in lines_of("".join(pieces)))


@pytest.mark.timeout(60)  # parsers that go back need hours for these
@pytest.mark.parametrize(
    "piece", ["<a ", '<a b="', "<!DOCTYPE[", "<!--", "<![CDATA[", "<?", "</a", "&a"]
)
def test_what_is_never_closed_takes_no_longer_than_what_is(piece: str) -> None:
    lines_of(piece * (1 << 18))


@pytest.mark.parametrize("piece", ["<b>x", "< ", "<p>"])
def test_markup_without_end_is_refused(piece: str) -> None:
    with pytest.raises(CannotRender):
        lines_of(piece * MOST_PIECES)


def test_too_many_lines_are_refused() -> None:
    assert len(lines_of("<p>x" * MOST_LINES)) == MOST_LINES
    with pytest.raises(CannotRender):
        lines_of("<p>x" * (MOST_LINES + 1))
