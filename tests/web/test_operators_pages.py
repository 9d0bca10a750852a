"""The pages of IT and of the archive's operator: state, jobs, audit; no patient data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import Action, AppendOnly, AuditEvent
from pacs_web.nodes.models import Node
from pacs_web.nodes.registry import register_archive, register_nodes
from tests.web.archive_stand_in import Archive, archive_stand_in
from tests.web.foreign_stand_in import foreign_stand_in, study
from tests.web.made_studies import CT_STUDY

PATIENT = ("LEFÈVRE", "Lefèvre", "FRJ000001", "1954")


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    with archive_stand_in(config.TRUST_DIR) as running:
        monkeypatch.setattr(config, "ARCHIVE_URL", running.url)
        yield running


class TestServers:
    def test_shows_it_each_nodes_full_state(
        self, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        page = browser("it").get("/servers/").content.decode()
        for shown in ("ARGENS_CT", "11112", "2.1 GB", "6.5 GB", "21/11 10:12", "Quarantined"):
            assert shown in page
        assert nodes["CT"].url in page

    def test_says_what_lossless_jpeg_would_save_on_each_node(
        self, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        page = " ".join(browser("it").get("/servers/").content.decode().split())
        assert "2.7:1 over 480 images" in page
        assert "would save 158.0 MB" in page

    def test_foresees_when_a_disk_reaches_the_watermark(
        self, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        page = " ".join(browser("it").get("/servers/live/").content.decode().split())
        assert "Full to its watermark in 40 days, at 50.0 MB a day." in page
        assert "Exams with a single copy</dt><dd>17" in page

    def test_shows_the_archive_whose_watermark_counts(
        self, nodes: dict, archive: Archive, browser: Callable[[str], Client]
    ) -> None:
        register_archive(archive.url)
        page = " ".join(browser("it").get("/servers/").content.decode().split())
        assert "Full to its watermark in 20 days, at 50.0 MB a day." in page
        assert "Volumes</dt><dd>1" in page
        assert 'hx-trigger="every 3s"' in page

    def test_groups_by_site_and_shows_what_a_foreign_server_tells(
        self, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        with foreign_stand_in([study(1)]) as foreign:
            Node.objects.create(
                name="CLINIC", kind="dicomweb", url=foreign.url, issuer="CLINIC", site="Draguignan"
            )
            page = " ".join(browser("it").get("/servers/").content.decode().split())
            browser("it").get("/servers/live/")
        assert page.index("Without a site") < page.index(">CT<") < page.index("Draguignan")
        assert "A search takes" in page
        assert len(foreign.asked) == 1

    def test_names_a_dead_node_with_the_reason(
        self,
        nodes: object,
        register: Callable[[SimpleNamespace], Node],
        browser: Callable[[str], Client],
    ) -> None:
        register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
        page = browser("it").get("/servers/").content.decode()
        assert "One does not answer." in page
        assert "Connection refused" in page
        assert "ARGENS_CT" in page

    def test_shows_a_clinician_who_answers_and_no_more(
        self, nodes: dict, clinician: Client
    ) -> None:
        page = clinician.get("/servers/").content.decode()
        assert "Answers" in page
        assert "ARGENS_CT" not in page
        assert nodes["CT"].url not in page


class TestArchive:
    def test_shows_vaults_volumes_jobs_and_nodes(
        self, nodes: object, archive: Archive, browser: Callable[[str], Client]
    ) -> None:
        archive.add("copy", CT_STUDY, "failed")
        page = browser("archivist").get("/archive/").content.decode()
        for shown in ("vault-1", "A00001", "35.0 GB", CT_STUDY, "the drive is jammed"):
            assert shown in page
        assert "no route to RF" in page
        assert 'hx-trigger="every 3s"' in page

    def test_starts_a_job_and_audits_it(
        self, nodes: object, archive: Archive, browser: Callable[[str], Client]
    ) -> None:
        said = {"kind": "copy", "node": "CT", "study_uid": CT_STUDY}
        page = browser("archivist").post("/archive/", said, follow=True).content.decode()
        assert "Job 1 is queued" in page
        assert (archive.jobs[0]["kind"], archive.jobs[0]["requested_by"]) == ("copy", "archivist")
        row = AuditEvent.objects.get(action="archive-job")
        assert (row.study_uid, row.detail) == (CT_STUDY, {"kind": "copy", "node": "CT"})

    @pytest.mark.parametrize("uid", ["", "../1", "1..2", "x"])
    def test_refuses_what_is_no_uid(
        self, nodes: object, archive: Archive, browser: Callable[[str], Client], uid: str
    ) -> None:
        said = {"kind": "copy", "node": "CT", "study_uid": uid}
        response = browser("archivist").post("/archive/", said)
        assert response.status_code == 422
        assert "id_study_uid_error" in response.content.decode()
        assert not archive.jobs

    def test_tries_a_failed_job_again(
        self, nodes: object, archive: Archive, browser: Callable[[str], Client]
    ) -> None:
        job = archive.add("evict", CT_STUDY, "failed")
        browser("archivist").post(f"/archive/jobs/{job['id']}/retry/")
        assert job["state"] == "queued"

    def test_says_why_a_job_cannot_be_tried_again(
        self, nodes: object, archive: Archive, browser: Callable[[str], Client]
    ) -> None:
        archive.add("evict", CT_STUDY, "done")
        page = browser("archivist").post("/archive/jobs/1/retry/", follow=True).content.decode()
        assert "it has not failed" in page

    @pytest.mark.parametrize("url", ["", "http://127.0.0.1:9"])
    def test_says_when_there_is_no_archive_or_it_is_down(
        self,
        db: None,
        browser: Callable[[str], Client],
        monkeypatch: pytest.MonkeyPatch,
        url: str,
    ) -> None:
        monkeypatch.setattr(config, "ARCHIVE_URL", url)
        operator = browser("archivist")
        assert "The archive does not answer" in operator.get("/archive/").content.decode()
        assert operator.get("/archive/live/").status_code == 200


class TestAudit:
    @pytest.fixture
    def looked(self, nodes: object, clinician: Client) -> None:
        clinician.post("/", {"name": "Lefèvre"}, follow=True)
        clinician.get(f"/studies/{CT_STUDY}/")

    def test_shows_person_act_and_study_but_no_patient(
        self, looked: None, browser: Callable[[str], Client]
    ) -> None:
        page = browser("it").get("/audit/").content.decode()
        assert "clinician" in page
        assert "Opened exam" in page
        assert CT_STUDY in page
        assert not [word for word in PATIENT if word in page]

    def test_rows_are_never_changed_or_deleted(self, db: None) -> None:
        row = AuditEvent.objects.create(who="x", action=Action.STUDY)
        row.who = "somebody else"
        for attempt in (
            row.save,
            row.delete,
            AuditEvent.objects.all().delete,
            lambda: AuditEvent.objects.update(who="y"),
            lambda: AuditEvent.objects.bulk_update([row], ["who"]),
        ):
            with pytest.raises(AppendOnly):
                attempt()
        assert AuditEvent.objects.get().who == "x"


def test_nodes_are_registered_once_and_followed_to_a_new_address(db: None) -> None:
    register_nodes({"CT": "http://a", "RF": "http://b"})
    Node.objects.filter(name="RF").update(enabled=False)
    register_nodes({"CT": "http://c", "RF": "http://b"})
    rows = Node.objects.values_list("name", "url", "enabled")
    assert list(rows) == [("CT", "http://c", True), ("RF", "http://b", False)]
