"""What the archive says is recognised again, whatever it was said of; so are the texts of old."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_common import sentences
from pacs_common.sentences import NESTED, TEMPLATES, WORDS, names_in, read, say

PARIS = timezone(timedelta(hours=2))
SINCE = datetime(2000, 1, 1)
word = st.text("AB7-_.é", min_size=1, max_size=12)
text = st.text("AB7é -/«", min_size=1, max_size=20).map(lambda one: f"X{one}X")
ENDINGS: dict[str, st.SearchStrategy[Any]] = {
    "bytes": st.integers(0, 10**17),
    "at": st.datetimes(SINCE, timezones=st.just(UTC)).map(lambda at: at.replace(second=0)),
    "on": st.dates(date(2000, 1, 1)),
    "count": st.integers(0, 10**9),
    "days": st.integers(0, 99_999).map(float),
    "s": st.integers(0, 99_999).map(float),
    "percent": st.integers(0, 2000).map(lambda thousandths: thousandths / 1000),
}


def value(name: str) -> st.SearchStrategy[Any]:
    if name in WORDS:
        return word
    return ENDINGS.get(name.rpartition("_")[2], text) if "_" in name else text


@st.composite
def said(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    key = draw(st.sampled_from(sorted(TEMPLATES)))
    return key, {name: draw(value(name)) for name in sorted(names_in(TEMPLATES[key]))}


@given(said())
def test_what_was_said_is_read_again_with_its_values(one: tuple[str, dict[str, Any]]) -> None:
    key, values = one
    found = read(say(key, **values))
    assert found is not None
    assert found[0] == key
    for name, value in values.items():
        if name.endswith("_bytes"):  # as exactly as it was said
            assert abs(found[1][name] - value) <= max(0, value) * 0.05
            assert sentences.size(found[1][name]) == sentences.size(value)
        elif isinstance(value, datetime):
            assert found[1][name] == value.replace(microsecond=0)
        else:
            assert found[1][name] == value


@given(said(), said())
def test_a_sentence_in_a_sentence_is_said_alike_whatever_is_recognised(
    outer: tuple[str, dict[str, Any]], inner: tuple[str, dict[str, Any]]
) -> None:
    key, values = outer
    nested = {name: say(inner[0], **inner[1]) for name in NESTED & set(values)}
    whole = say(key, **values | nested)
    found = read(whole)
    assert found is not None
    assert say(found[0], **found[1]) == whole


@given(st.text())
def test_any_text_is_said_alike_or_is_none(any_text: str) -> None:
    found = read(any_text)
    assert found is None or say(found[0], **found[1]) == any_text


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (-5, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (70_020_816_896, "70.0 GB"),
        (2 * 10**18, "2000.0 PB"),
    ],
)
def test_sizes_are_those_of_people(count: int, shown: str) -> None:
    assert sentences.size(count) == shown


def test_a_moment_is_said_in_utc_whatever_its_zone() -> None:
    at = datetime(2028, 12, 30, 14, 22, tzinfo=PARIS)
    assert say("node-silent", node="CR", since_at=at).endswith("since 2028-12-30 12:22 UTC")


def test_rows_of_old_are_read_too() -> None:
    old = (
        "CR is above its high watermark and nothing may be evicted: 70020816896 bytes are left, "
        "full at 2028-12-30 12:22 UTC"
    )
    found = read(old)
    assert found is not None
    assert (found[0], found[1]["node"]) == ("disk-high", "CR")
    left = read(found[1]["left"])
    assert left is not None
    assert left[1]["free_bytes"] == 70_020_816_896
    assert left[1]["full_at"] == datetime(2028, 12, 30, 12, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said_then", "key"),
    [
        ("the disk is 92.3% full, above 85.0%", "list-disk-full"),
        ("stays: held: legal (expertise), by archivist", "stays"),
        ("held: rule keep CT, teaching", "held"),
        ("rule keep CT wants it online", "rule-wants-online"),
        ("copy CT: 3 copy jobs failed: job 12, CT: did not answer in time", "jobs-failed"),
        ("scrub vault-1: a job failed: job 9, broken", "job-failed"),
        ("volume A00001 of vault-1 was not read whole since 2026-11-21", "scrub-overdue"),
        ("the archive answered 409: job 3 is running: it cannot be retried", "peer-answered"),
    ],
)
def test_the_longest_own_text_is_meant(said_then: str, key: str) -> None:
    found = read(said_then)
    assert found is not None and found[0] == key


@pytest.mark.parametrize(
    "unknown",
    [
        "",
        "something else",
        "CR is silent since 2028-13-45 99:99 UTC",
        "many bytes are left",
        "it is away!",
    ],
)
def test_what_nobody_says_is_no_sentence(unknown: str) -> None:
    assert read(unknown) is None


def test_a_value_that_is_not_given_is_an_error_at_once() -> None:
    with pytest.raises(KeyError):
        say("node-silent", node="CR")
    with pytest.raises(KeyError):
        say("no such sentence")
