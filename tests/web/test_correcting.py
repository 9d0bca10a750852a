"""A technologist corrects whose an exam is: on every node that holds it, or is told where not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from pacs_common.errors import BadInput, Conflict, Unavailable
from pacs_web import config
from pacs_web.audit.models import Action, AuditEvent
from tests.web.made_studies import CT_STUDY, ct_study
from tests.web.node_stand_in import StandIn, node_stand_in

pytestmark = pytest.mark.slow

PAGE = f"/studies/{CT_STUDY}/correct/"
SHOWN = {
    "PatientName": "LEFEVRE^Jean", "PatientID": "FR-1", "IssuerOfPatientID": "FREJUS",
    "PatientBirthDate": "19500417", "PatientSex": "M", "OtherPatientIDs": "",
    "AccessionNumber": "A1", "StudyDescription": "TDM",
}  # fmt: skip
TYPED = {
    "kind": "moved", "name": "Durand, Zoë", "patient_id": "FR-2", "issuer": "FREJUS",
    "birth_date": "29/02/1980", "sex": "F", "other_ids": "X, Y", "accession": "A1",
    "description": "TDM", "why": "wrong entry",
}  # fmt: skip
CORRECTION = {
    "id": "c1", "study_uid": CT_STUDY, "kind": "moved", "why": "wrong entry", "by": "technologist",
    "at": "2026-11-21T09:30:00+00:00", "state": "applied", "left_out": ["PatientComments"],
    "changes": [{"keyword": "PatientName", "old": "LEFEVRE^Jean", "new": "Durand^Zoë"},
                {"keyword": "PatientBirthDate", "old": "19500417", "new": "19800229"}],
    "patient_before": {"issuer": "FREJUS", "id": "FR-1"},
    "patient_after": {"issuer": "FREJUS", "id": "FR-2"}, "undone_by": "", "undone_at": None,
}  # fmt: skip
RECEIVED = [
    {"destination": "WS1", "operations": ["C-MOVE"], "last_at": "2026-11-21T09:00:00+00:00",
     "instances": 3, "sent_since_at": None, "is_waiting": False, "can_resend": True},
]  # fmt: skip


def offer(node: StandIn, *corrections: dict[str, Any], latest: str = "") -> None:
    """Let a node know this history and take a correction."""
    listed = {"shown": SHOWN, "latest": latest, "corrections": list(corrections)}
    node.api["/api/corrections"] = ("corrections.read", listed)
    done = {"correction": CORRECTION, "received": RECEIVED}
    node.api["POST /api/corrections"] = ("corrections.write", done)
    node.api["/api/corrections/c1/received"] = ("corrections.read", {"received": RECEIVED})
    node.api["POST /api/corrections/c1/undo"] = ("corrections.write", done)
    node.api["POST /api/corrections/c1/resend"] = ("corrections.write", {"queued": {"WS1": 3}})


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


@pytest.fixture
def two(nodes: dict[str, StandIn], register: Callable[[StandIn], Any]) -> Iterator[list[StandIn]]:
    """Two nodes that hold the exam."""
    with node_stand_in("CR", ct_study(), config.TRUST_DIR) as other:
        register(other)
        for node in (nodes["CT"], other):
            offer(node)
        yield [nodes["CT"], other]


def text(response: Any) -> str:
    return response.content.decode()


def test_the_exam_offers_it_to_technologists_alone(
    ct: StandIn, technologist: Client, clinician: Client
) -> None:
    assert PAGE in text(technologist.get(f"/studies/{CT_STUDY}/"))
    assert PAGE not in text(clinician.get(f"/studies/{CT_STUDY}/"))
    assert clinician.post(PAGE, TYPED | {"step": "apply"}).status_code == 403


def test_the_form_shows_what_is_shown_now_beside_each_field(
    ct: StandIn, technologist: Client
) -> None:
    offer(ct)
    page = text(technologist.get(PAGE))
    assert "LEFEVRE^Jean" in page and 'value="17/04/1950"' in page
    assert "FR-1" not in technologist.get(PAGE).wsgi_request.get_full_path()


def test_a_patient_who_is_found_fills_the_form(ct: StandIn, technologist: Client) -> None:
    offer(ct)
    page = technologist.post(PAGE, {"step": "find", "find": "*"})
    (first, *_) = page.context["patients"]
    filled = technologist.post(PAGE, {"use": first.packed})
    assert filled.context["form"].initial["patient_id"] == first.study.patient_id
    assert filled.context["form"].initial["kind"] == "moved"
    assert not ct.bodies
    nobody = technologist.post(PAGE, {"step": "find", "find": "ZZZ"})
    assert "Nobody is found" in text(nobody)
    assert technologist.post(PAGE, {"use": "no JSON"}).status_code == 200


def test_old_and_new_are_compared_before_anything_is_done(
    ct: StandIn, technologist: Client
) -> None:
    offer(ct)
    page = technologist.post(PAGE, TYPED | {"step": "preview"})
    (body,) = ct.bodies
    assert body["preview"] is True
    assert body["values"] == SHOWN | {
        "PatientName": "Durand^Zoë", "PatientID": "FR-2", "PatientBirthDate": "19800229",
        "PatientSex": "F", "OtherPatientIDs": "X\\Y",
    }  # fmt: skip
    assert "17/04/1950" in text(page) and "29/02/1980" in text(page)
    assert not AuditEvent.objects.filter(action=Action.CORRECT).exists()


def hidden(page: Any) -> dict[str, str]:
    """Return what the confirmation sends."""
    form = page.context["form"]
    fields = {field.html_name: field.value() or "" for field in form}
    latest = {f"latest-{name}": value for name, value in page.context["latest"].items()}
    return fields | latest | {"id": page.context["id"], "step": "apply"}


def test_it_is_applied_on_every_node_and_told_who_has_the_old_one(
    two: list[StandIn], technologist: Client
) -> None:
    asked = hidden(technologist.post(PAGE, TYPED | {"step": "preview"}))
    page = technologist.post(PAGE, asked)
    bodies = [node.bodies[-1] for node in two]
    assert [body["preview"] for body in bodies] == [False, False]
    assert bodies[0]["id"] == bodies[1]["id"] == asked["id"]
    assert bodies[0]["latest"] == ""
    assert "Shown from now on by CT, CR" in text(page)
    assert text(page).count('name="destination" value="WS1"') == 2
    row = AuditEvent.objects.filter(action=Action.CORRECT).get()
    assert (row.patient_id, row.result, row.detail["nodes"]) == ("FR-2", "success", ["CT", "CR"])


def test_a_node_that_fails_is_named_and_asked_again_with_the_same_id(
    two: list[StandIn], technologist: Client
) -> None:
    one, other = two
    other.api["POST /api/corrections"] = ("corrections.write", Unavailable("the disk is full"))
    page = technologist.post(PAGE, TYPED | {"step": "apply", "id": "f" * 32})
    assert "Corrected on some servers only" in text(page)
    assert "the disk is full" in text(page)
    offer(other)
    again = technologist.post(PAGE, hidden(page))
    assert "some servers only" not in text(again)
    assert one.bodies[-1]["id"] == other.bodies[-1]["id"] == "f" * 32


def test_a_node_that_went_away_since_the_question_is_named_and_not_passed_over(
    two: list[StandIn], technologist: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = hidden(technologist.post(PAGE, TYPED | {"step": "preview"}))
    monkeypatch.setattr(two[1].behaviour, "refuses", "busy")
    two[1].api["POST /api/corrections"] = ("corrections.write", Unavailable("busy"))
    page = technologist.post(PAGE, asked)
    assert [one.node for one in page.context["done"].failures] == ["CR"]
    assert "Corrected on some servers only" in text(page)


def test_what_the_nodes_refuse_is_said_beside_the_form(ct: StandIn, technologist: Client) -> None:
    offer(ct)
    ct.api["POST /api/corrections"] = ("corrections.write", BadInput("nothing would change"))
    page = technologist.post(PAGE, TYPED | {"step": "preview"})
    assert page.status_code == 422
    assert "nothing would change" in text(page)
    empty = technologist.post(PAGE, TYPED | {"step": "preview", "why": "", "birth_date": "31/02"})
    assert empty.status_code == 422
    assert {"why", "birth_date"} <= set(empty.context["form"].errors)


def test_the_history_undoes_and_sends_again(ct: StandIn, technologist: Client) -> None:
    offer(ct, CORRECTION, latest="c1")
    page = text(technologist.get(PAGE))
    assert "Moved to another patient" in page and "WS1" in page
    sent = technologist.post(
        f"{PAGE}resend/", {"node": "CT", "correction": "c1", "destination": ["WS1"]}, follow=True
    )
    assert "3 images are on their way" in text(sent)
    undone = technologist.post(f"{PAGE}undo/", {"correction": "c1"}, follow=True)
    assert "Undone on CT" in text(undone)
    ct.api["POST /api/corrections/c1/undo"] = ("corrections.write", Conflict("a later one"))
    refused = technologist.post(f"{PAGE}undo/", {"correction": "c1"}, follow=True)
    assert "a later one" in text(refused)


def test_the_exam_bears_a_mark_once_it_was_corrected(ct: StandIn, clinician: Client) -> None:
    address = f"/studies/{CT_STUDY}/corrections/"
    assert address in text(clinician.get(f"/studies/{CT_STUDY}/"))
    offer(ct)
    assert not text(clinician.get(address)).strip()
    offer(ct, CORRECTION, latest="c1")
    assert "Corrected" in text(clinician.get(address))
    offer(ct, CORRECTION | {"state": "undone"})
    assert not text(clinician.get(address)).strip()


def test_an_exam_whose_node_knows_no_corrections_cannot_be_corrected(
    ct: StandIn, technologist: Client
) -> None:
    page = technologist.get(PAGE)
    assert page.status_code == 200
    assert "cannot be corrected from here now" in text(page)
    assert json.dumps(ct.bodies) == "[]"
