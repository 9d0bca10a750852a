"""How people type dates and names, and how they read DICOM's."""

from __future__ import annotations

from datetime import date

import pytest
from django import forms
from hypothesis import given
from hypothesis import strategies as st

from pacs_web.studies.dates import EARLIEST, TypedDateField, read_date
from pacs_web.studies.forms import date_range, name_pattern
from pacs_web.templatetags.dicom_text import age_at, dicom_date, dicom_time, person, size


@given(st.dates(min_value=EARLIEST))
def test_every_day_is_read_in_each_of_its_forms(day: date) -> None:
    for form in ("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%Y%m%d"):
        assert read_date(day.strftime(form)) == day


@given(st.text(max_size=20))
def test_whatever_is_typed_is_a_day_or_a_message(typed: str) -> None:
    field = TypedDateField(max_length=10, required=False)
    try:
        found = field.clean(typed)
    except forms.ValidationError as refused:
        assert refused.messages
    else:
        assert found is None or found >= EARLIEST


@given(st.text(max_size=64))
def test_a_name_pattern_never_holds_a_blank_or_a_second_star_in_a_row(typed: str) -> None:
    pattern = name_pattern(typed)
    assert " " not in pattern
    if "*" not in typed and "?" not in typed:
        assert "**" not in pattern


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, ""),
        (date(2026, 1, 2), None, "20260102-"),
        (None, date(2026, 1, 2), "-20260102"),
        (date(2026, 1, 2), date(2026, 1, 3), "20260102-20260103"),
    ],
)
def test_ranges_are_dicoms(first: date | None, last: date | None, expected: str) -> None:
    assert date_range(first, last) == expected


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Lefèvre^Hélène", "LEFÈVRE Hélène"),
        ("D'Angély^Noël^^Dr", "D'ANGÉLY Noël"),
        ("le gall^anne^marie", "LE GALL anne marie"),
        ("Yamada^Tarou=山田^太郎", "YAMADA Tarou"),
        ("", "No name"),
        ("^", "No name"),
    ],
)
def test_names_are_shown_as_a_french_hospital_writes_them(raw: str, shown: str) -> None:
    assert person(raw) == shown


def test_dates_times_and_ages_are_shown_and_nonsense_stays_visible() -> None:
    assert dicom_date("20260228") == "28/02/2026"
    assert dicom_date("2026.02.28") == "28/02/2026"
    assert dicom_date("20260231") == "20260231"
    assert dicom_time("081530.250") == "08:15"
    assert dicom_time("9999") == ""
    assert age_at("19541103", "20261102") == "71 years"
    assert age_at("19541103", "20261103") == "72 years"
    assert age_at("", "20261103") == age_at("20270101", "20261103") == ""


@given(st.text(max_size=16))
def test_any_raw_value_can_be_shown(raw: str) -> None:
    for show in (person, dicom_date, dicom_time, size):
        assert isinstance(show(raw), str)


def test_sizes_are_decimal() -> None:
    assert [size(n) for n in (0, 999, 1000, 35_000_000_000, None)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "35.0 GB",
        "-",
    ]
