"""What was tried and refused is written down like what was done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from tests.web.archive_answers import Archive
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY


def test_a_person_who_opens_an_exam_without_the_right_is_written_down(
    nodes: object, browser: Callable[[str], Client]
) -> None:
    assert browser("it").get(f"/studies/{CT_STUDY}/").status_code == 403
    row = AuditEvent.objects.get(action="refused")
    assert (row.who, row.action, row.study_uid) == ("it", "refused", CT_STUDY)
    assert without_trace(row.detail) == {"right": "view_studies"}


def test_so_is_a_program(nodes: object, browser: Callable[[str], Client]) -> None:
    address = f"/dicom-web/studies/{CT_STUDY}/metadata"
    assert browser("archivist").get(address).status_code == 403
    row = AuditEvent.objects.get(action="refused")
    assert (row.who, row.action, without_trace(row.detail)) == (
        "archivist",
        "refused",
        {"right": "view_studies"},
    )


def test_a_job_that_the_archive_refuses_is_written_down_with_the_reason(
    nodes: object, archive: Archive, browser: Callable[[str], Client]
) -> None:
    archive.add("evict", CT_STUDY, "done")
    browser("archivist").post("/archive/jobs/1/retry/")
    row = AuditEvent.objects.get(action="archive-job")
    assert (row.detail["job"], row.detail["act"]) == (1, "retry")
    assert "job 1 is done" in row.detail["failed"]


def test_a_job_for_an_archive_that_is_down_is_written_down(
    nodes: object, browser: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "ARCHIVE_URL", "http://127.0.0.1:9")
    said = {"kind": "evict", "node": "CT", "study_uid": CT_STUDY}
    browser("archivist").post("/archive/jobs/", said)
    row = AuditEvent.objects.get(action="archive-job")
    assert (row.study_uid, row.detail["kind"]) == (CT_STUDY, "evict")
    assert row.detail["failed"]


def test_a_search_keeps_only_the_fields_of_its_form(nodes: object, clinician: Client) -> None:
    clinician.post("/", {"name": "Lef", "junk": "x" * 100_000})
    kept = next(iter(clinician.session["searches"].values()))
    assert kept == {"name": ["Lef"]}


@pytest.mark.parametrize(
    "asked", ["who=\x00", "study=\x00", "action=nonsense", "page=-1", "page=x"]
)
def test_nonsense_in_the_audits_address_shows_the_page(
    browser: Callable[[str], Client], asked: str
) -> None:
    name, _equals, value = asked.partition("=")
    assert browser("it").get("/audit/", {name: value}).status_code == 200
