"""Conditions: what a rule may say, what a study meets, and what the database leaves out."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive_node import holding
from archive_node.models import StudyFacts
from archive_node.policy import selection
from archive_node.ruling import conditions
from archive_node.ruling.conditions import Conditions
from pacs_common.errors import BadInput

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def study(**fields: object) -> StudyFacts:
    told = {
        "node": "CT", "study_uid": "1.2.3", "modalities": "CT\\SR", "study_date": "20251121",
        "description": "Crâne sans injection", "department": "Neurologie", "size_bytes": 1000,
        "birth_date": "20081122", "instances": 1, "online": 1,
        "last_arrival_at": NOW - timedelta(days=300),
    }  # fmt: skip
    return StudyFacts(**(told | fields))


def meets(document: dict[str, object], **fields: object) -> bool:
    return conditions.read(document).met_by(holding.facts_of(study(**fields)), NOW)


@pytest.mark.parametrize(
    ("condition", "other"),
    [
        ({"nodes": ["RF", "CT"]}, {"node": "CR"}),
        ({"modalities": ["sr"]}, {"modalities": "CT"}),
        ({"departments": ["NEUROLOGIE"]}, {"department": "Neurologie 2"}),
        ({"description": "CRANE"}, {"description": "Thorax"}),
        ({"study_age_days": 365}, {"study_date": "20251122"}),
        ({"study_age_days": 365}, {"study_date": ""}),
        ({"unused_days": 300}, {"last_access_at": NOW - timedelta(days=299)}),
        ({"unused_days": 300}, {"recalled_at": NOW - timedelta(days=299)}),
        ({"least_bytes": 1000}, {"size_bytes": 999}),
        ({"most_bytes": 1000}, {"size_bytes": 1001}),
        ({"patient_age_from": 17}, {"birth_date": "20091122"}),
        ({"patient_age_below": 18}, {"birth_date": "20081121"}),
        ({"patient_age_below": 18}, {"birth_date": ""}),
        ({"patient_age_from": 1}, {"birth_date": "20080231"}),
    ],
)
def test_each_condition_is_met_or_not(condition, other):
    assert meets(condition)
    assert not meets(condition, **other)


def test_what_is_absent_null_empty_or_zero_asks_nothing():
    nothing = {
        "nodes": [], "modalities": None, "departments": [], "description": "",
        "study_age_days": 0, "unused_days": None, "least_bytes": 0, "most_bytes": 0,
        "patient_age_from": 0, "patient_age_below": None,
    }  # fmt: skip
    assert conditions.read(nothing) == conditions.read({}) == Conditions()
    assert meets({}, study_date="", birth_date="", description="")


def test_all_that_are_given_must_be_met():
    both = {"modalities": ["CT"], "description": "crane"}
    assert meets(both)
    assert not meets(both, modalities="MR") and not meets(both, description="Thorax")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "conditions: not an object"),
        ({"colour": "red"}, "conditions: 'colour' is none that a rule has"),
        ({"nodes": "CT"}, "nodes: not a list of at most 200 texts"),
        ({"nodes": ["XX"]}, "nodes: no node is called 'XX' here"),
        ({"modalities": [7]}, "modalities: not a text"),
        ({"description": ["x"]}, "description: not a text"),
        ({"description": "a\0b"}, "description: not a text"),
        ({"unused_days": "7"}, "unused_days: not a number from 0 to 73000"),
        ({"unused_days": True}, "unused_days: not a number"),
        ({"unused_days": float("nan")}, "unused_days: not a number"),
        ({"study_age_days": -1}, "study_age_days: not a number"),
        ({"study_age_days": 1e300}, "study_age_days: not a number"),
        ({"least_bytes": 1.5}, "least_bytes: not a whole number"),
        ({"least_bytes": 5, "most_bytes": 4}, "most_bytes: less than least_bytes"),
        ({"patient_age_from": 18, "patient_age_below": 3}, "patient_age_below: less than"),
    ],
)
def test_a_condition_that_makes_no_sense_is_named(document, why):
    with pytest.raises(BadInput) as told:
        conditions.read(document, ["CT", "RF"])
    assert str(told.value).startswith(why)


@pytest.mark.parametrize("one", ["Œdème", "ŒDÈME", "œdeme"])
def test_case_and_accents_do_not_count(one):
    assert meets({"description": one}, description="suivi d'œdème")


days = st.sampled_from(["", "20251121", "20251122", "20240101", "19491121", "20240229"])
moments = st.sampled_from([0, 29, 30, 31, 300]).map(lambda day: NOW - timedelta(days=day))
rows = st.builds(
    study,
    study_uid=st.integers(1, 10**9).map(str),
    node=st.sampled_from(["CT", "RF"]),
    modalities=st.sampled_from(["CT", "MR\\SR", "SR\\MR\\XA", "SRX", ""]),
    department=st.sampled_from(["", "Neurologie", "Neurologie 2"]),
    description=st.sampled_from(["Crâne", "100 %", ""]),
    study_date=days,
    birth_date=days,
    size_bytes=st.sampled_from([0, 9, 10, 11]),
    last_arrival_at=moments,
    last_access_at=st.none() | moments,
    recalled_at=st.none() | moments,
)
wanted = st.builds(
    Conditions,
    nodes=st.sampled_from([frozenset(), frozenset({"CT"})]),
    modalities=st.sampled_from([frozenset(), frozenset({"SR"}), frozenset({"CT", "MR"})]),
    departments=st.sampled_from([frozenset(), frozenset({"neurologie"})]),
    description=st.sampled_from(["", "crane", "%", "_"]),
    study_age_days=st.sampled_from([0, 0.5, 365, 366]),
    unused_days=st.sampled_from([0, 30, 30.5]),
    least_bytes=st.sampled_from([0, 10]),
    most_bytes=st.sampled_from([0, 10]),
    patient_age_from=st.sampled_from([0, 1, 76]),
    patient_age_below=st.sampled_from([0, 1, 77]),
)


@pytest.mark.django_db
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, max_size=5, unique_by=lambda row: row.study_uid), wanted)
def test_the_database_finds_exactly_what_meets_the_conditions(db, some, asked):
    StudyFacts.objects.all().delete()
    for row in some:
        row.department_key = conditions.folded(row.department)
        row.description_key = conditions.folded(row.description)
    StudyFacts.objects.bulk_create(some)
    perhaps = StudyFacts.objects.filter(selection.described(asked, NOW))
    proposed = set(perhaps.values_list("study_uid", flat=True))
    met = {row.study_uid for row in some if asked.met_by(holding.facts_of(row), NOW)}
    assert met == proposed, asdict(asked)
