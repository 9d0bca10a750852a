"""Bringing an exam back from the archive, as the exam's page shows it."""

from __future__ import annotations

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from tests.web.archive_answers import Archive
from tests.web.made_studies import CT_STUDY
from tests.web.node_stand_in import StandIn

PAGE = f"/studies/{CT_STUDY}/"


def test_an_exam_in_the_archive_says_so_and_offers_its_recall(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    ct.behaviour.away.add(CT_STUDY)
    page = clinician.get(PAGE).content.decode()
    assert "In the archive" in page
    assert "Bring back from the archive" in page
    assert "A00001" in page
    assert f'href="{PAGE}download/"' not in page


def test_a_recall_is_asked_for_in_the_persons_name_and_audited(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    ct.behaviour.away.add(CT_STUDY)
    response = clinician.post(f"{PAGE}recall/", follow=True)
    assert response.redirect_chain == [(PAGE, 302)]
    (job,) = archive.jobs
    assert (job["kind"], job["study_uid"], job["requested_by"]) == (
        "recall",
        CT_STUDY,
        "clinician",
    )
    asked = [ticket for ticket in archive.tickets if "archive.recall" in ticket.scopes]
    assert [ticket.subject for ticket in asked] == ["clinician"]
    row = AuditEvent.objects.get(action="recall")
    assert (row.study_uid, row.patient_id) == (CT_STUDY, "FRJ000001")


def test_a_running_recall_is_polled_until_the_images_are_back(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    ct.behaviour.away.add(CT_STUDY)
    archive.add("recall", CT_STUDY, "running")
    panel = clinician.get(f"{PAGE}recall/", headers={"HX-Request": "true"})
    assert 'hx-trigger="every 3s"' in panel.content.decode()
    assert 'value="40"' in panel.content.decode()
    ct.behaviour.away.clear()
    back = clinician.get(f"{PAGE}recall/", headers={"HX-Request": "true"})
    assert back["HX-Refresh"] == "true"


def test_a_failed_recall_shows_why_and_can_be_asked_for_again(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    ct.behaviour.away.add(CT_STUDY)
    archive.add("recall", CT_STUDY, "failed")
    page = clinician.get(PAGE).content.decode()
    assert "the drive is jammed" in page
    assert "Bring back from the archive" in page


def test_an_archive_that_is_down_does_not_hide_the_exam(
    ct: StandIn, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "ARCHIVE_URL", "http://127.0.0.1:9")
    ct.behaviour.away.add(CT_STUDY)
    page = clinician.get(PAGE).content.decode()
    assert "The archive does not answer" in page
    assert "Axial 5 mm" in page


def panel_of(clinician: Client) -> str:
    """Return what the exam's page asks for every three seconds, its spaces joined."""
    answer = clinician.get(f"{PAGE}recall/", headers={"HX-Request": "true"})
    return " ".join(answer.content.decode().split())


def test_the_panel_tells_the_place_in_the_queue_and_the_expected_time(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    ct.behaviour.away.add(CT_STUDY)
    archive.add("recall", CT_STUDY, queue={"ahead": 2, "expected_s": 310})
    panel = panel_of(clinician)
    assert "2 others are ahead" in panel
    assert "They should be here in 5 min" in panel
    archive.jobs[0]["queue"] = {"ahead": 0, "expected_s": None}
    assert "Next in the queue of the archive" in panel_of(clinician)


def test_the_panel_says_when_an_operator_must_insert_a_volume(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    ct.behaviour.away.add(CT_STUDY)
    archive.add("recall", CT_STUDY, "waiting", waits_for="volume A00012 of vault-1")
    panel = panel_of(clinician)
    assert "Waits for an operator to insert volume A00012." in panel
    assert 'hx-trigger="every 3s"' in panel
    assert "Bring back from the archive" not in panel
    archive.jobs[0]["waits_for"] = "space on CT"
    assert "Waits for room on CT." in panel_of(clinician)


def test_the_panel_tells_how_long_it_takes_still(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    ct.behaviour.away.add(CT_STUDY)
    archive.add("recall", CT_STUDY, "running")["progress"]["seconds_left"] = 95
    assert "They should be here in 1 min" in panel_of(clinician)


def test_a_cancelled_recall_can_be_asked_for_again(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    ct.behaviour.away.add(CT_STUDY)
    archive.add("recall", CT_STUDY, "cancelled")
    panel = panel_of(clinician)
    assert "An operator of the archive cancelled the last recall" in panel
    assert "Bring back from the archive" in panel


def test_the_person_is_told_when_the_images_are_back(
    ct: StandIn, archive: Archive, clinician: Client
) -> None:
    archive.add("recall", CT_STUDY, "done")
    answer = clinician.get(f"{PAGE}recall/", headers={"HX-Request": "true"})
    assert answer["HX-Refresh"] == "true"
    assert "The images are back" in clinician.get(PAGE).content.decode()
