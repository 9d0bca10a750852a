"""Exams whose patient is doubtful: nobody's, mistyped, or new; answered from indexes."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.arrivals import lost
from dicom_node.models import Study

DAY = timedelta(days=1)


def study(uid: str, patient_id: str, issuer: str = "FREJUS", *, hours_ago: float = 1) -> Study:
    at = timezone.now() - timedelta(hours=hours_ago)
    return Study.objects.create(uid=uid, patient_id=patient_id, issuer=issuer, last_arrival_at=at)


def whys() -> dict[str, str]:
    return {one["study_uid"]: one["why"] for one in lost.lost(since=DAY)}


@pytest.mark.parametrize(
    ("patient_id", "why"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("unknown", "placeholder"),
        ("0", "placeholder"),
        ("99999", "placeholder"),
        ("DUPONT", "malformed"),
        ("FR--1", "malformed"),
        ("12?4", "malformed"),
        ("FR-010000100", "new"),
        ("É1.2/3", "new"),
    ],
)
def test_each_doubt_has_its_word(db, patient_id: str, why: str) -> None:
    study("1.2.1", patient_id, hours_ago=50)
    study("1.2.2", patient_id)
    assert whys() == ({} if why == "new" else {"1.2.2": why})
    Study.objects.filter(uid="1.2.1").delete()
    assert whys() == {"1.2.2": why}


def test_the_same_id_of_another_issuer_is_another_patient(db) -> None:
    study("1.2.1", "FR-1", issuer="TOULON", hours_ago=50)
    study("1.2.2", "FR-1")
    assert whys() == {"1.2.2": "new"}


def test_a_later_exam_does_not_make_the_first_one_known(db) -> None:
    study("1.2.1", "FR-1", hours_ago=2)
    study("1.2.2", "FR-1")
    assert whys() == {"1.2.1": "new"}


def test_another_node_is_told_whom_this_one_knew_before(db, ticket) -> None:
    study("1.2.1", "FR-1", hours_ago=3)
    now, long_ago = timezone.now().isoformat(), "2000-01-01T00:00:00+00:00"
    asked = [
        {"issuer": "FREJUS", "id": "FR-1", "study_uid": "1.2.9", "before": now},
        {"issuer": "FREJUS", "id": "FR-1", "study_uid": "1.2.1", "before": now},
        {"issuer": "FREJUS", "id": "FR-1", "study_uid": "1.2.9", "before": long_ago},
        {"issuer": "TOULON", "id": "FR-1", "study_uid": "1.2.9", "before": now},
    ]
    client = Client(headers={"Authorization": f"Bearer {ticket('arrivals.read')}"})
    body = json.dumps({"patients": asked})
    answer = client.post("/api/arrivals/known", body, content_type="application/json")
    assert answer.json() == {"known": [True, False, False, False]}
    for wrong in ({}, {"patients": [{}]}, {"patients": [{**asked[0], "before": "yesterday"}]}):
        answer = client.post("/api/arrivals/known", wrong, content_type="application/json")
        assert answer.status_code == 400, wrong
    assert client.get("/api/arrivals/doubtful").json()["studies"][0]["why"] == "new"


def test_the_scope_is_needed(db, ticket) -> None:
    client = Client(headers={"Authorization": f"Bearer {ticket('status')}"})
    assert client.get("/api/arrivals/doubtful").status_code == 403
    assert client.post("/api/arrivals/known").status_code == 403


def test_it_is_answered_from_indexes_by_few_statements(db, django_assert_max_num_queries) -> None:
    for number in range(20):
        study(f"1.2.{number + 1}", f"FR-{number}")
    with django_assert_max_num_queries(4):
        assert len(lost.lost(since=DAY)) == 20
    plan = lost.looked_at(DAY).explain()
    assert "study_by_patient_id" in plan, plan
    assert "last_arrival_at" in plan, plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan, plan


@given(st.text(max_size=64))
def test_any_id_is_judged(patient_id: str) -> None:
    judged = Study(patient_id=patient_id)
    judged.is_known = True
    assert lost.doubt(judged) in {"", "empty", "placeholder", "malformed"}
