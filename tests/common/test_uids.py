"""A UID is the only thing that may become a path (custody rule 11)."""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacs_common.errors import ArgensError, MissingUid, UnsafeUid
from pacs_common.uids import MAX_LENGTH, Uid

NEAR_UIDS = st.text(alphabet="0123456789./\\\0 -\n", max_size=70)
COMPONENTS = st.lists(st.integers(0, 10**12).map(str), min_size=1, max_size=4)


@given(st.one_of(st.text(max_size=80), NEAR_UIDS, st.binary(max_size=20), st.none()))
@example("1.2\n")
@example("..")
@example("\u0661.\u0662")
def test_whatever_parses_is_one_safe_path_component_and_parses_to_itself(text):
    try:
        uid = Uid.parse(text)
    except ArgensError:
        return
    assert PurePath(uid).parts == (uid,) and PurePosixPath("/a", uid).parent == PurePosixPath("/a")
    assert set(uid) <= set("0123456789.") and 0 < len(uid.encode()) <= MAX_LENGTH
    assert Uid.parse(uid) == uid and ".." not in uid


@given(COMPONENTS)
def test_every_uid_of_the_standard_parses_and_is_standard(components):
    text = ".".join(components)
    if len(text) <= MAX_LENGTH:
        uid = Uid.parse(text)
        assert uid == text and uid.is_standard


@given(COMPONENTS, st.integers(0, 3))
def test_a_leading_zero_is_kept_and_flagged(components, which):
    index = which % len(components)
    components[index] = "0" + components[index]
    text = ".".join(components)
    if len(text) <= MAX_LENGTH:
        assert Uid.parse(text) == text
        assert not Uid.parse(text).is_standard


@pytest.mark.parametrize("padded", ["1.2.3\0", "1.2.3 ", " 1.2.3\0\0"])
def test_padding_is_no_part_of_a_uid(padded):
    assert Uid.parse(padded) == "1.2.3"


@pytest.mark.parametrize("text", [None, "", "  ", "\0"])
def test_nothing_is_missing(text):
    with pytest.raises(MissingUid, match="study UID is missing"):
        Uid.parse(text, "study UID")


@pytest.mark.parametrize(
    "text",
    [
        "../etc",
        "1/2",
        "1\\2",
        "1..2",
        ".1",
        "1.",
        "1.2\n",
        "1.2a",
        "\u0661",
        "-1",
        "1" * 65,
        "1.2\0.3",
    ],
)
def test_what_could_leave_its_folder_or_break_a_name_is_refused(text):
    with pytest.raises(UnsafeUid, match="instance UID"):
        Uid.parse(text, "instance UID")


def test_a_refusal_of_much_text_stays_one_short_line():
    with pytest.raises(UnsafeUid) as caught:
        Uid.parse("../" * 100_000)
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)
