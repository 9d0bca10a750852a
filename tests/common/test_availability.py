"""A whole is as available as its least available part (PS3.4 C.4.1.1.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_common.availability import Availability, least

ORDER = ["ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE"]


def test_the_terms_are_those_of_the_standard_best_first():
    assert list(Availability) == ORDER


@given(st.lists(st.sampled_from(ORDER), min_size=1))
def test_the_least_available_part_counts(parts):
    assert least(parts) == max(parts, key=ORDER.index)


def test_of_nothing_everything_is_online():
    assert least([]) is Availability.ONLINE


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="ELSEWHERE"):
        least(["ONLINE", "ELSEWHERE"])
