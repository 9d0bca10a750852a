"""Lost exams: every node's doubts, without those that another node clears."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pacs_web.accounts.models import Account, Limit
from pacs_web.audit.models import AuditEvent
from tests.web.node_stand_in import StandIn

PAGE = "/arrivals/lost/"
FIRST = "2026-11-27T07:58:00+00:00"


def row(uid: str, why: str, patient_id: str, **more: Any) -> dict[str, Any]:
    return {
        "study_uid": uid,
        "patient": {"issuer": "FREJUS", "id": patient_id, "name": "Lefèvre^Hélène"},
        "study_date": "20261127", "accession_number": "A1", "description": "TDM", "departments": [],
        "modalities": ["CT"], "sources": ["CT1"], "why": why,
        "first_arrival_at": FIRST, "last_arrival_at": "2026-11-27T08:00:00+00:00", **more,
    }  # fmt: skip


@pytest.fixture
def doubting(nodes: dict[str, StandIn]) -> dict[str, StandIn]:
    """CT has an exam of nobody and one of a patient new there; RF has none."""
    rows = [row("1.2.3", "placeholder", "UNKNOWN"), row("1.2.4", "new", "FR-9")]
    nodes["CT"].api["/api/arrivals/doubtful"] = ("arrivals.read", {"studies": rows})
    nodes["RF"].api["/api/arrivals/doubtful"] = ("arrivals.read", {"studies": []})
    nodes["RF"].api["POST /api/arrivals/known"] = ("arrivals.read", {"known": [False]})
    return nodes


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


def shown(client: Client, address: str = PAGE) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_each_doubt_is_told_with_its_way_to_the_correction(doubting, technologist) -> None:
    page = shown(technologist)
    for text in ("The ID names nobody", "First exam of this patient", "/studies/1.2.3/correct/"):
        assert text in page, text
    assert AuditEvent.objects.get(action="search").detail["page"] == "lost"


def test_a_patient_whom_another_node_knows_is_not_lost(doubting, technologist) -> None:
    doubting["RF"].api["POST /api/arrivals/known"] = ("arrivals.read", {"known": [True]})
    page = shown(technologist)
    assert "/studies/1.2.3/correct/" in page
    assert "/studies/1.2.4/" not in page
    (asked,) = doubting["RF"].bodies
    key = {"issuer": "FREJUS", "id": "FR-9", "study_uid": "1.2.4", "before": FIRST}
    assert asked == {"patients": [key]}


def test_a_silent_node_clears_nobody_and_is_named(doubting, technologist) -> None:
    del doubting["RF"].api["/api/arrivals/doubtful"]
    del doubting["RF"].api["POST /api/arrivals/known"]
    page = shown(technologist)
    assert "One server did not answer" in page
    assert "/studies/1.2.4/correct/" in page


def test_the_days_are_chosen_and_nonsense_is_today(doubting, technologist) -> None:
    shown(technologist, f"{PAGE}?hours=168")
    shown(technologist, f"{PAGE}?hours=abc")
    asked = [one for one in doubting["CT"].asked if "doubtful" in one]
    assert ["hours=168" in asked[0], "hours=24" in asked[1]] == [True, True]


def test_another_departments_exam_is_not_shown(doubting, technologist, person) -> None:
    account: Account = person("technologist")
    Limit.objects.create(account=account, department="Radiology")
    rows = [row("1.2.3", "empty", "", departments=["Cardiology"])]
    doubting["CT"].api["/api/arrivals/doubtful"] = ("arrivals.read", {"studies": rows})
    assert "No exam seems lost" in shown(technologist)


@pytest.fixture
def doubted(doubting: dict[str, StandIn]) -> str:
    """The exam that CT holds, doubted under the patient that it is filed under; its UID."""
    held = doubting["CT"].instances[0]
    filed = {"issuer": held.get("IssuerOfPatientID", ""), "id": held.PatientID, "name": "X"}
    told = {"studies": [row(held.StudyInstanceUID, "malformed", "", patient=filed)]}
    doubting["CT"].api["/api/arrivals/doubtful"] = ("arrivals.read", told)
    return held.StudyInstanceUID


def test_an_exam_that_somebody_found_right_is_lost_no_more(doubted, technologist) -> None:
    correction = f"/studies/{doubted}/correct/"
    assert correction in shown(technologist)
    assert technologist.post(f"{correction}right/")["Location"] == PAGE
    page = shown(technologist)
    assert correction not in page and "1 found right" in page
    assert correction in shown(technologist, f"{PAGE}?show=right")
    noted = AuditEvent.objects.get(action="correct")
    assert (noted.study_uid, noted.detail["patient_is_right"]) == (doubted, True)

    technologist.post(f"{correction}right/", {"undo": "1"})
    assert correction in shown(technologist)


def test_an_exam_found_right_is_doubted_anew_under_another_patient(
    doubted, doubting, technologist
) -> None:
    technologist.post(f"/studies/{doubted}/correct/right/")
    _scope, told = doubting["CT"].api["/api/arrivals/doubtful"]
    told["studies"][0]["patient"]["id"] = "ANOTHER"
    assert f"/studies/{doubted}/correct/" in shown(technologist)
