"""Quarantine on the portal: the list, both objects side by side, and the decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pacs_common.errors import Conflict, NotFound
from pacs_web.accounts.models import Account, Limit
from pacs_web.audit.models import AuditEvent
from tests.web.node_stand_in import StandIn

ADDRESS = "/arrivals/quarantine/CT/7/"
FACTS = {
    "patient_name": "Lefèvre^Hélène",
    "patient_id": "FR-1",
    "issuer": "FREJUS",
    "birth_date": "19500417",
    "sex": "F",
    "study_uid": "1.2.3",
    "series_uid": "1.2.3.1",
    "study_description": "TDM cérébrale",
    "modality": "CT",
}


def row(**told: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "sop_instance_uid": "1.2.3.1.1",
        "study_uid": "1.2.3",
        "received_sha256": "ab" * 32,
        "reason": "same-uid",
        "detail": "stored ab, came cd",
        "arrived_at": "2026-01-05T08:30:00+00:00",
        "source_ae": "CT2",
        "size_bytes": 1000,
        "decision": "",
        "decided_by": "",
        "decided_at": None,
        "comment": "",
        "patient": {"name": "Lefèvre^Hélène", "id": "FR-1"},
        "departments": [],
        **told,
    }


def compared(**told: Any) -> dict[str, Any]:
    difference = {"tag": "(0028,1050)", "name": "Window Center", "stored": "40", "came": "80"}
    return {
        **row(),
        "object": {**FACTS, "series_description": "Coronale"},
        "stored": {**FACTS, "series_description": "Axiale"},
        "study": {**FACTS},
        "differences": [difference],
        "may_take": True,
        "why_not": "",
        **told,
    }


def tells(node: StandIn, **told: Any) -> None:
    rows = [row(**{key: value for key, value in told.items() if key in row()})]
    node.api["/api/quarantine"] = ("arrivals.read", {"quarantined": rows, "waiting": 1})
    node.api["/api/quarantine/7"] = ("arrivals.read", compared(**told))
    node.api["/api/quarantine/7/picture"] = ("arrivals.read", b"\xff\xd8a picture")
    for verb in ("keep", "take", "undo"):
        node.api[f"POST /api/quarantine/7/{verb}"] = ("quarantine.decide", {"waiting": 0})


@pytest.fixture
def waiting(nodes: dict[str, StandIn]) -> StandIn:
    """The node CT, with one object in quarantine; RF has none."""
    nodes["RF"].api["/api/quarantine"] = ("arrivals.read", {"quarantined": [], "waiting": 0})
    tells(nodes["CT"])
    return nodes["CT"]


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


def page_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_what_waits_is_listed_with_why(waiting, technologist) -> None:
    page = page_of(technologist, "/arrivals/quarantine/")
    for shown in ("LEFÈVRE Hélène", "CT2", "Same image number, other content", ADDRESS):
        assert shown in page, shown


def test_an_empty_quarantine_says_what_would_wait_there(waiting, technologist) -> None:
    waiting.api["/api/quarantine"] = ("arrivals.read", {"quarantined": [], "waiting": 0})
    assert "Quarantine is empty" in page_of(technologist, "/arrivals/quarantine/")


def test_what_was_decided_is_listed_with_who_and_why(waiting, technologist) -> None:
    at = "2026-01-05T08:31:00+00:00"
    tells(waiting, decision="kept", decided_by="marie", decided_at=at, comment="sent twice")
    page = page_of(technologist, "/arrivals/quarantine/?show=decided")
    assert "decided=1" in waiting.asked[-1]
    for shown in ("Kept out", "marie", "sent twice"):
        assert shown in page, shown


def test_both_objects_stand_side_by_side(waiting, technologist) -> None:
    page = page_of(technologist, ADDRESS)
    assert "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/rendered" in page
    assert f"{ADDRESS}picture" in page
    for shown in ("Axiale", "Coronale", "Window Center", "1 element differs"):
        assert shown in page, shown
    assert page.count('class="differs"') == 2  # the series' description, on both sides
    assert "Take the one in quarantine" in page


def test_looking_is_audited_with_the_patient(waiting, technologist) -> None:
    page_of(technologist, ADDRESS)
    event = AuditEvent.objects.get(action="images")
    assert (event.study_uid, event.patient_id) == ("1.2.3", "FR-1")


def test_another_patients_object_is_shown_beside_the_exam(waiting, technologist) -> None:
    tells(
        waiting,
        reason="other-patient",
        stored=None,
        object={**FACTS, "patient_id": "FR-2"},
        differences=[],
        may_take=False,
        why_not="correct the identity of the exam first",
    )
    page = page_of(technologist, ADDRESS)
    for shown in ("FR-1", "FR-2", "Keep it out", "correct the identity of the exam first"):
        assert shown in page, shown
    assert 'value="take"' not in page


@pytest.mark.parametrize("verb", ["keep", "take"])
def test_a_decision_goes_to_the_node_and_into_the_audit(waiting, technologist, verb) -> None:
    said = {"verb": verb, "comment": " the second\none "}
    response = technologist.post(f"{ADDRESS}decide/", said, follow=True)
    assert f"POST /api/quarantine/7/{verb}" in waiting.asked
    assert waiting.bodies == [{"comment": "the second one"}]
    assert 'class="notice success"' in response.content.decode()
    event = AuditEvent.objects.exclude(detail__quarantine=None).get()
    assert event.detail["quarantine"] == verb
    assert event.detail["instance"] == "1.2.3.1.1"
    assert event.patient_id == "FR-1"


def test_a_decision_is_undone_from_its_page(waiting, technologist) -> None:
    tells(waiting, decision="kept", decided_by="marie", decided_at="2026-01-05T08:31:00+00:00")
    assert 'value="undo"' in page_of(technologist, ADDRESS)
    technologist.post(f"{ADDRESS}decide/", {"verb": "undo"})
    assert "POST /api/quarantine/7/undo" in waiting.asked


def test_what_the_node_refuses_is_told(waiting, technologist) -> None:
    refused = Conflict("somebody else has just decided about it")
    waiting.api["POST /api/quarantine/7/keep"] = ("quarantine.decide", refused)
    page = technologist.post(f"{ADDRESS}decide/", {"verb": "keep"}, follow=True).content.decode()
    assert "somebody else has just decided about it" in page
    assert AuditEvent.objects.get(action="reject").result == "failed"


def test_an_unknown_verb_is_refused(waiting, technologist) -> None:
    assert technologist.post(f"{ADDRESS}decide/", {"verb": "destroy"}).status_code == 400
    assert not waiting.bodies


def test_the_picture_is_for_those_who_may_look_at_images(waiting, technologist, person) -> None:
    answer = technologist.get(f"{ADDRESS}picture")
    assert answer.content == b"\xff\xd8a picture"
    assert "no-store" in answer["Cache-Control"]
    account: Account = person("technologist")
    account.groups.get().permissions.remove(
        *account.groups.get().permissions.filter(codename="view_studies")
    )
    assert technologist.get(f"{ADDRESS}picture").status_code == 403


def test_who_may_not_upload_is_not_offered_to_take(waiting, technologist, person) -> None:
    group = person("technologist").groups.get()
    group.permissions.remove(*group.permissions.filter(codename="upload_studies"))
    assert 'value="take"' not in page_of(technologist, ADDRESS)
    assert technologist.post(f"{ADDRESS}decide/", {"verb": "take"}).status_code == 403


def test_another_departments_object_is_hidden(waiting, technologist, person) -> None:
    tells(waiting, departments=["Cardiology"])
    Limit.objects.create(account=person("technologist"), department="Radiology")
    assert "LEFÈVRE" not in page_of(technologist, "/arrivals/quarantine/")
    for address in (ADDRESS, f"{ADDRESS}picture"):
        assert technologist.get(address).status_code == 404
    assert technologist.post(f"{ADDRESS}decide/", {"verb": "keep"}).status_code == 404
    assert not waiting.bodies


def test_what_is_not_there_is_not_found(waiting, technologist) -> None:
    waiting.api["/api/quarantine/8"] = ("arrivals.read", NotFound("no such object"))
    assert technologist.get("/arrivals/quarantine/CT/8/").status_code == 404
    assert technologist.get("/arrivals/quarantine/NOBODY/7/").status_code == 404
