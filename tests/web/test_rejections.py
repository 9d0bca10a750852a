"""Rejections on the portal: rejecting from an exam, what is hidden, bringing back, removal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pacs_common.errors import Conflict
from pacs_web.accounts.models import Account, Limit
from pacs_web.audit.models import AuditEvent
from tests.web.made_studies import CT_STUDY
from tests.web.node_stand_in import StandIn

NOTE = "1.2.840.1"
ADDRESS = f"/arrivals/rejections/CT/{NOTE}/"
COPY = {"vault": "vault-1", "volume": "A00001", "verified_at": "2026-01-06T08:00:00+00:00"}


def told(**more: Any) -> dict[str, Any]:
    return {
        "id": NOTE,
        "study_uid": "1.2.3",
        "code": "113001",
        "meaning": "Rejected for Quality Reasons",
        "comment": "moved",
        "by": "marie",
        "source": "node",
        "at": "2026-01-05T08:30:00+00:00",
        "due_at": "2026-02-04T08:30:00+00:00",
        "state": "rejected",
        "instances": 2,
        "removed": 0,
        "approved_by": "",
        "patient": {"name": "Lefèvre^Hélène", "id": "FR-1"},
        "departments": [],
        "description": "TDM cérébrale",
        **more,
    }


def tells(node: StandIn, *, due: bool = False, **more: Any) -> None:
    image = {"series_uid": "1.2.3.1", "modality": "CT", "number": 1, "stays": "", "copies": [COPY]}
    kept = {**image, "stays": "no verified copy of it is in the archive", "copies": []}
    plan = [
        {**image, "sop_instance_uid": "1.2.3.1.1"},
        {**kept, "sop_instance_uid": "1.2.3.1.2"},
    ]
    node.api["/api/rejections"] = ("rejections.read", {"rejections": [told(**more)]})
    one = {"rejection": told(**more), "plan": plan, "due": due}
    node.api[f"/api/rejections/{NOTE}"] = ("rejections.read", one)
    undone = {"rejection": told(state="undone")}
    node.api[f"POST /api/rejections/{NOTE}/undo"] = ("dicomweb.delete", undone)
    removed = {"rejection": told(), "removed": 1, "kept": [{"sop_instance_uid": "1.2.3.1.2"}]}
    node.api[f"POST /api/rejections/{NOTE}/approve"] = ("rejections.approve", removed)


@pytest.fixture
def hidden(nodes: dict[str, StandIn]) -> StandIn:
    """The node CT, which hides something; RF hides nothing."""
    nodes["RF"].api["/api/rejections"] = ("rejections.read", {"rejections": []})
    tells(nodes["CT"])
    return nodes["CT"]


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


def page_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_what_is_hidden_is_listed_with_by_whom_and_why(hidden, technologist) -> None:
    page = page_of(technologist, "/arrivals/rejections/")
    for shown in ("LEFÈVRE Hélène", "marie", "Bad quality", "moved", "Hidden", "04/02/2026"):
        assert shown in page, shown


def test_what_may_be_removed_is_asked_for_apart(hidden, technologist) -> None:
    hidden.api["/api/rejections"] = ("rejections.read", {"rejections": []})
    assert "Nothing waits for removal" in page_of(technologist, "/arrivals/rejections/?show=due")
    assert any("due=1" in asked for asked in hidden.asked)
    assert "Nothing is rejected" in page_of(technologist, "/arrivals/rejections/")


def test_a_rejection_is_undone(hidden, technologist) -> None:
    assert "Bring it back" in page_of(technologist, ADDRESS)
    page = technologist.post(f"{ADDRESS}decide/", {"verb": "undo"}, follow=True).content.decode()
    assert "shown again everywhere" in page
    assert f"POST /api/rejections/{NOTE}/undo" in hidden.asked
    event = AuditEvent.objects.get(action="reject")
    assert event.detail["rejection"] == "undo"


def test_a_removal_shows_its_proof_and_what_stays(hidden, technologist) -> None:
    page = page_of(technologist, ADDRESS)
    for shown in ("A00001", "verified 2026-01-06", "1 image has its proof", "no verified copy"):
        assert shown in page, shown
    assert 'value="approve"' not in page  # not due yet


def test_a_due_removal_is_approved(hidden, technologist) -> None:
    tells(hidden, due=True)
    assert "Remove 1 image from this server" in page_of(technologist, ADDRESS)
    answer = technologist.post(f"{ADDRESS}decide/", {"verb": "approve"}, follow=True)
    assert "Removed from this server: 1. Stay hidden: 1." in answer.content.decode()
    assert AuditEvent.objects.get(action="delete").detail["rejection"] == "approve"


def test_what_the_node_refuses_is_told(hidden, technologist) -> None:
    refused = Conflict("it may not be removed before 2026-02-04")
    hidden.api[f"POST /api/rejections/{NOTE}/approve"] = ("rejections.approve", refused)
    answer = technologist.post(f"{ADDRESS}decide/", {"verb": "approve"}, follow=True)
    assert "may not be removed before" in answer.content.decode()
    assert AuditEvent.objects.get(action="delete").result == "failed"


def test_what_was_brought_back_or_removed_offers_nothing(hidden, technologist) -> None:
    tells(hidden, state="undone")
    assert 'name="verb"' not in page_of(technologist, ADDRESS)
    tells(hidden, state="approved", removed=2)
    assert 'value="undo"' not in page_of(technologist, ADDRESS)


def test_another_departments_rejection_is_hidden(hidden, technologist, person) -> None:
    tells(hidden, departments=["Cardiology"])
    account: Account = person("technologist")
    Limit.objects.create(account=account, department="Radiology")
    assert "LEFÈVRE" not in page_of(technologist, "/arrivals/rejections/")
    assert technologist.get(ADDRESS).status_code == 404
    assert technologist.post(f"{ADDRESS}decide/", {"verb": "undo"}).status_code == 404


class TestRejecting:
    address = f"/studies/{CT_STUDY}/reject/"

    def test_the_exams_page_leads_there_for_those_who_may(
        self, nodes, technologist, browser
    ) -> None:
        assert self.address in page_of(technologist, f"/studies/{CT_STUDY}/")
        assert self.address not in page_of(browser("clinician"), f"/studies/{CT_STUDY}/")

    def test_the_image_page_leads_there_with_its_image(self, nodes, technologist) -> None:
        image = f"/studies/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1/"
        assert f"{image}reject/" in page_of(technologist, image)
        assert "This image" in page_of(technologist, f"{image}reject/")

    @pytest.mark.parametrize(
        ("what", "path"),
        [
            ("", f"studies/{CT_STUDY}"),
            (f"{CT_STUDY}.1", f"studies/{CT_STUDY}/series/{CT_STUDY}.1"),
        ],
    )
    def test_an_exam_or_series_is_rejected_with_its_reason(
        self, nodes, technologist, what: str, path: str
    ) -> None:
        said = {"what": what, "reason": "113038", "comment": " wrong\npatient "}
        answer = technologist.post(self.address, said)
        assert answer["Location"] == "/arrivals/rejections/"
        (asked,) = [one for one in nodes["CT"].asked if one.startswith("DELETE")]
        assert asked.startswith(f"DELETE /dicom-web/{path}?")
        assert "reason=113038" in asked
        assert "comment=wrong%20patient" in asked or "comment=wrong+patient" in asked
        assert AuditEvent.objects.get(action="reject").detail["reason"] == "113038"

    def test_an_image_is_rejected_from_its_own_page(self, nodes, technologist) -> None:
        image = f"series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1"
        said = {"what": f"{CT_STUDY}.1/{CT_STUDY}.1.1", "reason": "113001", "comment": ""}
        technologist.post(f"/studies/{CT_STUDY}/{image}/reject/", said)
        (asked,) = [one for one in nodes["CT"].asked if one.startswith("DELETE")]
        assert asked.startswith(f"DELETE /dicom-web/studies/{CT_STUDY}/{image}?")

    @pytest.mark.parametrize(
        "said",
        [
            {"what": "", "reason": ""},
            {"what": "", "reason": "1"},
            {"what": "1.2.99", "reason": "113001"},
        ],
    )
    def test_nonsense_rejects_nothing(self, nodes, technologist, said) -> None:
        assert technologist.post(self.address, said).status_code == 422
        assert not [one for one in nodes["CT"].asked if one.startswith("DELETE")]

    def test_a_clinician_rejects_nothing(self, nodes, clinician) -> None:
        said = {"what": "", "reason": "113001"}
        assert clinician.post(self.address, said).status_code == 403
