"""A technologist sends an exam on, and sees how far it is, why it failed, and tries again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pacs_common.errors import BadInput
from pacs_web.audit.models import AuditEvent
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY
from tests.web.node_stand_in import StandIn

pytestmark = pytest.mark.slow

PAGE = f"/studies/{CT_STUDY}/send/"
LISTENS = {"host": "10.0.0.9", "port": 104, "tls": False}
PEERS = [
    {"ae_title": "TELE/RAD", "note": "night reading", "listens": LISTENS},
    {"ae_title": "CT1", "note": "", "listens": None},
]


def sending(counts: dict[str, int], error: str = "", next_at: str | None = None) -> dict[str, Any]:
    none = dict.fromkeys(("waiting", "sending", "sent", "given-up", "cancelled"), 0)
    return {
        "destination": "TELE/RAD", "study_uid": CT_STUDY, "rule": "", "requested_by": "marie",
        "asked_at": "2026-11-27T08:00:00+00:00", "counts": none | counts, "next_at": next_at,
        "error": error, "commitment": None,
    }  # fmt: skip


def tells(node: StandIn, *studies: dict[str, Any], **destination: Any) -> None:
    known = {"ae_title": "TELE/RAD", "away_since": None, "next_try_at": None, "error": ""}
    answer = {"destinations": [known | destination], "studies": list(studies)}
    node.api["/api/forwarding"] = ("forwarding.read", answer)


@pytest.fixture
def sender(nodes: dict[str, StandIn]) -> StandIn:
    """The node CT, which knows a destination and has sent nothing yet."""
    node = nodes["CT"]
    node.api["/api/peers"] = ("peers.read", {"peers": PEERS, "problem": ""})
    node.api["POST /api/forwarding"] = ("forwarding.write", {"queued": 5})
    node.api["POST /api/forwarding/resend"] = ("forwarding.write", {"queued": 2})
    tells(node)
    return node


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


def shown(client: Client, address: str = PAGE) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_only_destinations_with_an_address_are_offered(sender, technologist) -> None:
    page = shown(technologist)
    assert "TELE/RAD · night reading · from CT" in page
    assert "CT/CT1" not in page
    assert "was not sent to another system" in page


def test_an_exam_is_sent_to_a_known_destination_and_it_is_audited(sender, technologist) -> None:
    answer = technologist.post(PAGE, {"to": "CT/TELE/RAD"}, follow=True)
    assert "5 images are on their way to TELE/RAD." in answer.content.decode()
    assert sender.bodies == [{"destination": "TELE/RAD", "study_uid": CT_STUDY}]
    event = AuditEvent.objects.get(action="send")
    assert (event.study_uid, event.patient_id, event.result) == (CT_STUDY, "FRJ000001", "success")
    assert without_trace(event.detail) == {"node": "CT", "destination": "TELE/RAD", "queued": 5}


@pytest.mark.parametrize("to", ["", "CT/NOBODY", "RF/TELE/RAD", "CT/CT1"])
def test_what_is_no_known_destination_gets_nothing(sender, technologist, to: str) -> None:
    assert technologist.post(PAGE, {"to": to}).status_code == 422
    assert not sender.bodies


def test_what_the_node_refuses_is_told_and_audited(sender, technologist) -> None:
    refused = BadInput("no peer 'TELE/RAD' with an address is known here")
    sender.api["POST /api/forwarding"] = ("forwarding.write", refused)
    answer = technologist.post(PAGE, {"to": "CT/TELE/RAD"}, follow=True).content.decode()
    assert "Nothing was sent to TELE/RAD: CT answered 400: no peer" in answer
    assert AuditEvent.objects.get(action="send").result == "failed"


def test_a_destination_that_is_away_is_told_with_the_reason_and_the_next_try(
    sender, technologist
) -> None:
    soon, later = "2026-11-27T09:10:00+00:00", "2026-11-27T09:20:30+00:00"
    away = {"away_since": soon, "next_try_at": later, "error": "connection refused"}
    tells(sender, sending({"waiting": 3, "sent": 2}, next_at=soon), **away)
    page = shown(technologist)
    for text in ("Waiting", "connection refused", "next try 10:20:30", "2 / 5"):  # at Paris
        assert text in page, text
    assert 'name="again"' not in page


@pytest.mark.parametrize(
    ("counts", "state", "act"),
    [
        ({"waiting": 5}, "On its way", None),
        ({"sent": 5}, "Sent", "Send again"),
        ({"sent": 3, "given-up": 2}, "Failed", "Try again"),
        ({"cancelled": 5}, "Cancelled", "Send again"),
    ],
)
def test_each_state_has_its_word_and_what_can_be_done(
    sender, technologist, counts, state: str, act: str | None
) -> None:
    tells(sender, sending(counts, "0xA700 out of resources" if "given-up" in counts else ""))
    page = shown(technologist, f"{PAGE}live/")
    assert f">{state}</span>" in page
    assert (f">{act}</button>" in page) if act else ("</button>" not in page)
    assert ("0xA700" in page) == ("given-up" in counts)


def test_what_failed_is_tried_again(sender, technologist) -> None:
    answer = technologist.post(PAGE, {"again": "CT/TELE/RAD"}, follow=True)
    assert "2 images are on their way." in answer.content.decode()
    named = {"destination": "TELE/RAD", "study_uid": CT_STUDY}
    assert sender.bodies == [{**named, "state": "given-up"}]
    assert AuditEvent.objects.get(action="send").detail["again"] is True


def test_the_page_follows_without_redrawing_what_is_the_same(sender, technologist) -> None:
    tells(sender, sending({"sent": 5}))
    seen = shown(technologist, f"{PAGE}live/").split('name="seen" value="')[1].split('"')[0]
    assert technologist.get(f"{PAGE}live/", {"seen": seen}).status_code == 204
    tells(sender, sending({"waiting": 5}))
    assert technologist.get(f"{PAGE}live/", {"seen": seen}).status_code == 200


def test_a_node_without_answer_is_named(sender, technologist) -> None:
    del sender.api["/api/forwarding"]
    assert "One server did not answer" in shown(technologist)


def test_the_exams_page_leads_there_for_those_who_may(sender, technologist, browser) -> None:
    assert PAGE in shown(technologist, f"/studies/{CT_STUDY}/")
    assert PAGE not in shown(browser("clinician"), f"/studies/{CT_STUDY}/")
