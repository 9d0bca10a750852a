"""One key of a query against what is held (PS3.4 C.2.2.2)."""

from __future__ import annotations

import fnmatch
import re
from datetime import date, timedelta

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from dicom_node.index.attributes import ATTRIBUTES
from dicom_node.index.cursors import rows
from dicom_node.index.matching import MAX_UIDS, as_like, split_uids
from dicom_node.index.names import name_keys
from dicom_node.index.query import Level, Query, select
from dicom_node.index.semantics import Semantics
from dicom_node.index.values import date_of, number_of, time_of
from dicom_node.models import Series, Study
from pacs_common.errors import BadQuery

pytestmark = pytest.mark.slow

EVERYTHING = Semantics(True, True, True, True, False, True, True)


def hold(**columns: object) -> Study:
    """Put one study into the index."""
    uid = columns.pop("uid", f"1.2.{Study.objects.count() + 1}")
    shown = {"instance_count": 1, "last_arrival_at": timezone.now()}
    return Study.objects.create(uid=uid, **shown, **columns)


def named(name: str) -> Study:
    """Put one study of a patient of that name into the index."""
    key, others = name_keys(name)
    return hold(patient_name=name, patient_name_key=key, patient_name_other_keys=others)


def found(keyword: str, value: str) -> set[str]:
    """Return the UIDs of the studies that a key finds."""
    query = Query(Level.STUDY, {keyword: value}, asked={"StudyInstanceUID"})
    return {uid for uid, _ in rows(query)}


def refused(path: str, value: str) -> None:
    """Ask for nothing but the statement: a refusal comes before any database sees the key."""
    select(Query(ATTRIBUTES[path].level, {path: value}))


def matches(keyword: str, value: str) -> bool:
    """Whether a key finds the one study."""
    return bool(found(keyword, value))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("FR-1", True),
        (" FR-1 ", True),
        ("FR-1\0", True),
        ("fr-1", False),  # identifiers are matched as they are written
        ("FR-", False),
        ("FR-*", True),
        ("*-1", True),
        ("FR-?", True),
        ("FR-??", False),
        ("?R*1*", True),
        ("", True),
        ("*", True),
        ("**", True),
    ],
)
def test_single_value_wild_card_and_universal(key, expected):
    hold(patient_id="FR-1")
    assert matches("PatientID", key) is expected


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "*", "  "])
def test_universal_matching_finds_absent_values_too(key):
    hold()
    for keyword in ("PatientID", "StudyDate", "StudyTime", "PatientName", "StudyInstanceUID"):
        assert matches(keyword, key), keyword


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("LEFEVRE^HELENE", True),
        ("Le Fèvre^Hélène", True),
        ("lefèvre*", True),
        ("*hélène", True),
        ("L?FEVRE^*", True),
        ("Lefèvre", False),  # single value matching is of the whole name
        ("LEFEVRE^HELENE^^", True),
        ("Lefort*", False),
        ("^", True),
        ("^^=", True),
    ],
)
def test_names_are_found_without_case_accents_and_hyphens(key, expected):
    named("Lefèvre^Hélène")
    assert matches("PatientName", key) is expected


@pytest.mark.django_db
def test_an_absent_given_name_fits_a_star():
    named("Lefèvre")
    assert matches("PatientName", "LEFEVRE^*")
    assert not matches("PatientName", "LEFEVRE^H*")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "key", ["山田*", "山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田^太郎", "やまだ*"]
)
def test_every_component_group_of_a_name_is_looked_into(key):
    named("Yamada^Tarou=山田^太郎=やまだ^たろう")
    assert matches("PatientName", key)
    assert not matches("PatientName", "鈴木*")


@pytest.mark.django_db
def test_a_group_of_stars_says_nothing_beside_another_group():
    named("Lefèvre^Hélène")
    assert matches("PatientName", "lefevre*=*=*")
    assert not matches("PatientName", "durand*=*=*")
    assert matches("PatientName", "*=*")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "Lefèvre", "Lefèvre^Hélène"])
@pytest.mark.parametrize("key", ["*^*", "*^*^*", "^*", "*^*=*^*"])
def test_stars_for_each_component_match_every_name(name, key):
    named(name)
    assert matches("PatientName", key)


def test_a_name_of_which_nothing_is_left_is_refused():
    with pytest.raises(BadQuery, match=r"PatientName: .* nothing of a name"):
        refused("PatientName", "-")


@pytest.mark.django_db
def test_descriptions_are_found_without_case_and_accents():
    hold(description="TDM cérébrale", description_key="TDM CEREBRALE")
    assert matches("StudyDescription", "tdm CÉRÉBRALE")
    assert matches("StudyDescription", "*cerebr*")
    assert not matches("StudyDescription", "tdm")


@pytest.mark.django_db
@pytest.mark.parametrize("separator", ["\\", ","])
def test_a_list_of_uids_finds_each(separator):
    for uid in ("1.1", "1.2", "1.3"):
        hold(uid=uid)
    assert found("StudyInstanceUID", separator.join(["1.1", "1.3"])) == {"1.1", "1.3"}
    assert found("StudyInstanceUID", "1.2") == {"1.2"}


@pytest.mark.django_db
def test_a_long_list_of_uids_is_one_question(django_assert_num_queries):
    hold(uid="1.77")
    with django_assert_num_queries(1):
        uids = "\\".join(f"1.{n}" for n in range(MAX_UIDS))
        assert found("StudyInstanceUID", uids) == {"1.77"}


@pytest.mark.parametrize("value", ["1.2.*", "abc", "1.2/3", "1" * 65, "1.2\\x"])
def test_what_is_no_uid_is_refused(value):
    with pytest.raises(BadQuery, match=r"StudyInstanceUID: .* is not a UID"):
        refused("StudyInstanceUID", value)


def test_too_many_uids_are_refused():
    with pytest.raises(BadQuery, match="more than"):
        split_uids("\\".join(["1.2"] * (MAX_UIDS + 1)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "expected"),
    [("CT", True), ("ct", True), ("SR\\MR", True), ("PR,MR", False), ("C*", True), ("M*", False)],
)
def test_modalities_in_study_finds_studies_that_have_one_of_them(key, expected):
    hold(modalities="CT\\SR")
    assert matches("ModalitiesInStudy", key) is expected


DAYS = st.dates(date(1999, 1, 1), date(1999, 3, 1))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("20260105", True),
        ("2026.01.05", True),
        ("20260101-20260131", True),
        ("20260105-20260105", True),
        ("20260105-", True),
        ("-20260105", True),
        ("20260106-", False),
        ("-20260104", False),
        ("20260131-20260101", False),
        ("20260101 - 20260131", True),
    ],
)
@pytest.mark.django_db
def test_dates_match_by_day_and_range(key, expected):
    hold(study_date="20260105")
    assert matches("StudyDate", key) is expected


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["19000101-", "-20990101", "19000101-20990101", "20260105"])
def test_an_absent_date_lies_in_no_range(key):
    hold(study_date="")
    assert not matches("StudyDate", key)


@pytest.mark.parametrize(
    "key",
    [
        *("tomorrow", "2026", "20261301", "20260230", "2026-01-05", "-", "20260101-x"),
        *("2026010²", "٢٠٢٦٠١٠٥", "20260101-20260102-20260103", "00000000", "20260105*"),
    ],
)
def test_nonsense_dates_are_refused_in_one_line_that_names_the_key(key):
    with pytest.raises(BadQuery, match=r"^StudyDate: [^\n]+\Z"):
        refused("StudyDate", key)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("093015", True),
        ("0930", True),
        ("09", True),
        ("09:30", True),
        ("093015.5", True),
        ("093015.51", False),
        ("093016", False),
        ("0900-1000", True),
        ("09-09", True),
        ("0930-0930", True),
        ("093016-", False),
        ("-0930", True),
        ("-0929", False),
        ("10-", False),
    ],
)
def test_times_match_by_prefix_and_range(key, expected):
    hold(study_time=time_of("093015.5"))
    assert matches("StudyTime", key) is expected


@pytest.mark.parametrize("key", ["noon", "25", "2460", "093", "0930-xx", "-", "0٩", ":"])
def test_nonsense_times_are_refused(key):
    with pytest.raises(BadQuery, match=r"^StudyTime: [^\n]+\Z"):
        refused("StudyTime", key)


@pytest.mark.django_db
def test_numbers_match_as_numbers():
    study = hold()
    for number in (1, 2, 12):
        Series.objects.create(study=study, uid=f"1.2.3.{number}", number=number, instance_count=1)

    def numbered(value: str) -> list[int]:
        query = Query(Level.SERIES, {"SeriesNumber": value}, asked={"SeriesNumber"})
        return [number for number, _ in rows(query)]

    assert numbered("2") == numbered("+002 ") == [2]
    assert numbered("999999999999") == []


@pytest.mark.parametrize("key", ["one", "1.5", "1_0", "²", "0x1", "1-2", "inf", "1" * 13])
def test_what_is_no_whole_number_is_refused(key):
    with pytest.raises(BadQuery, match=r"SeriesNumber: .* is not a whole number"):
        refused("SeriesNumber", key)


@pytest.mark.parametrize("key", ["a\0b", "a" * 257])
def test_a_key_that_no_database_should_see_is_refused(key):
    with pytest.raises(BadQuery, match=r"^PatientID: [^\n]+\Z"):
        refused("PatientID", key)


@pytest.mark.parametrize(
    ("key", "pattern"),
    [("A*", "A%"), ("A?B", "A_B"), ("100%_*", r"100\%\_%"), ("a\\b*", r"a\\b%"), ("[a]*", "[a]%")],
)
def test_postgresql_is_asked_by_an_escaped_like(key, pattern):
    assert as_like(key) == pattern


TEXTS = st.text("aAé[]%_!^-*?{}", max_size=8)


class EveryText(TestCase):
    """What holds for any text, asked of the database itself."""

    @settings(max_examples=150, deadline=None)
    @given(st.text("aAé[]%_\\!^-{}", min_size=1, max_size=8), TEXTS)
    def test_wild_cards_match_like_the_reference(self, text, pattern):
        row = hold(patient_id=text)
        of_fnmatch = pattern.replace("[", "[[]")
        expected = re.match(fnmatch.translate(of_fnmatch), text) is not None
        self.assertEqual(row.uid in found("PatientID", pattern), expected or not pattern)

    @settings(max_examples=60, deadline=None)
    @given(DAYS, st.none() | DAYS, st.none() | DAYS)
    def test_ranges_of_dates_match_like_the_reference(self, day, low, high):
        row = hold(study_date=f"{day:%Y%m%d}")
        if low is None and high is None:
            return
        text = "-".join("" if end is None else f"{end:%Y%m%d}" for end in (low, high))
        expected = (low or day) <= day <= (high or day)
        self.assertEqual(row.uid in found("StudyDate", text), expected)

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=20))
    def test_any_key_is_answered_or_refused_in_one_line(self, keyword, value):
        attribute = ATTRIBUTES[keyword]
        try:
            list(rows(Query(attribute.level, {keyword: value}, EVERYTHING, asked={keyword})))
        except BadQuery as error:
            self.assertTrue(str(error).startswith(f"{attribute.keyword}: "))
            self.assertEqual(len(str(error).splitlines()), 1)


@given(st.text(max_size=20))
def test_any_stored_text_is_a_date_a_time_a_number_or_absent(text):
    assert re.fullmatch(r"[0-9]{8}|", date_of(text))
    assert re.fullmatch(r"[0-9]{6}\.[0-9]{6}|", time_of(text))
    assert number_of(text) is None or isinstance(number_of(text), int)


@given(DAYS)
def test_every_day_is_kept_as_it_is_written(day):
    assert date_of(f"{day:%Y%m%d}") == date_of(f"{day:%Y.%m.%d}") == f"{day:%Y%m%d}"
    assert date_of(f"{day + timedelta(days=1):%Y%m%d}") != date_of(f"{day:%Y%m%d}")
