"""The operator's jobs: found by filters, looked at, and acted upon one by one or many at once."""

from __future__ import annotations

import pytest
from django.test import Client

from pacs_web.audit.models import AuditEvent
from tests.web.archive_answers import Archive
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nodes")]
PAGE = "/archive/jobs/"
ACT = "/archive/jobs/act/"


def text_of(client: Client, address: str = PAGE) -> str:
    """Return a page with its spaces joined."""
    return " ".join(client.get(address).content.decode().split())


def live_of(client: Client, address: str = PAGE) -> str:
    """Return what the page asks for every three seconds."""
    answer = client.get(address, headers={"HX-Request": "true"})
    return " ".join(answer.content.decode().split())


class TestList:
    def test_shows_each_job_with_its_state_progress_and_reason(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.add("copy", CT_STUDY, "failed")
        running = archive.add("recall", CT_STUDY, "running", by="clinician")
        running["progress"] |= {"bytes_per_s": 2_000_000, "seconds_left": 42}
        page = text_of(operator)
        for shown in (CT_STUDY, "the drive is jammed", "Bring back", "2.0 MB/s", "42 s left"):
            assert shown in page
        assert 'value="40"' in page
        assert 'hx-trigger="every 3s"' in page

    def test_tells_place_in_the_queue_and_what_is_waited_for(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.add("recall", CT_STUDY, queue={"ahead": 3, "expected_s": 7_300})
        archive.add("recall", CT_STUDY, "waiting", waits_for="volume A00012 of vault-1")
        page = text_of(operator)
        assert "3 jobs ahead · done in 2 h 01 min" in page
        assert "waits for an operator to insert volume A00012" in page

    def test_finds_jobs_by_state_kind_server_vault_volume_and_study(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.add("copy", "1.2.3", "failed", vault="off-site")
        archive.add("scrub", "", "failed", node="", vault="vault-1", volume="A00001")
        archive.add("evict", "1.2.5", "done")
        for query, shown in (
            ("state=failed", {1, 2}),
            ("state=open", set()),
            ("kind=evict", {3}),
            ("node=CT", {1, 3}),
            ("vault=off-site", {1}),
            ("volume=A00001", {2}),
            ("study=1.2.3", {1}),
        ):
            page = live_of(operator, f"{PAGE}?{query}")
            assert {n for n in (1, 2, 3) if f'id="job-{n}"' in page} == shown, query

    def test_leaves_out_filters_that_are_nonsense(self, archive: Archive, operator: Client) -> None:
        archive.add("copy", CT_STUDY)
        page = live_of(operator, f"{PAGE}?state=%00x&kind=fly&page=-3")
        assert 'id="job-1"' in page

    def test_turns_pages_and_keeps_the_filters(self, archive: Archive, operator: Client) -> None:
        for _ in range(120):
            archive.add("copy", CT_STUDY)
        page = text_of(operator, f"{PAGE}?kind=copy&page=2")
        assert "Page 2 of 3" in page
        assert 'href="?kind=copy&amp;page=3"' in page
        assert 'id="job-70"' in page and 'id="job-71"' not in page and 'id="job-20"' not in page

    def test_sends_only_what_changed(self, archive: Archive, operator: Client) -> None:
        archive.add("copy", CT_STUDY)
        page = operator.get(PAGE).content.decode()
        seen = page.split('name="seen" value="')[1].split('"')[0]
        same = operator.get(f"{PAGE}?seen={seen}", headers={"HX-Request": "true"})
        assert same.status_code == 204
        archive.jobs[0]["state"] = "running"
        other = operator.get(f"{PAGE}?seen={seen}", headers={"HX-Request": "true"})
        assert other.status_code == 200
        assert "running" in other.content.decode()

    def test_says_that_there_is_no_job_or_none_that_matches(
        self, archive: Archive, operator: Client
    ) -> None:
        assert "No job yet" in text_of(operator)
        assert "No job matches" in text_of(operator, f"{PAGE}?kind=copy")

    def test_asks_the_archive_once_and_the_database_little(
        self, archive: Archive, operator: Client, django_assert_max_num_queries
    ) -> None:
        for _ in range(60):
            archive.add("copy", CT_STUDY)
        operator.get(PAGE)
        archive.asked.clear()
        with django_assert_max_num_queries(10):
            operator.get(PAGE)
        assert archive.asked == ["GET /api/jobs"]


class TestOne:
    def test_shows_all_that_is_known_and_follows(self, archive: Archive, operator: Client) -> None:
        archive.add("copy", CT_STUDY, "running", vault="vault-1", volume="A00001")
        page = text_of(operator, f"{PAGE}1/")
        for shown in ("Job 1: Copy", CT_STUDY, "vault-1", "A00001", "2 / 5", "Time left"):
            assert shown in page
        assert 'hx-get="/archive/jobs/1/"' in page

    def test_one_that_is_unknown_is_told_so(self, archive: Archive, operator: Client) -> None:
        assert "The archive does not know this" in text_of(operator, f"{PAGE}9/")

    @pytest.mark.parametrize(
        ("state", "action", "then"),
        [
            ("failed", "retry", "queued"),
            ("queued", "pause", "paused"),
            ("paused", "resume", "queued"),
            ("running", "cancel", "cancelled"),
        ],
    )
    def test_is_acted_upon_and_that_is_audited(
        self, archive: Archive, operator: Client, state: str, action: str, then: str
    ) -> None:
        archive.add("copy", CT_STUDY, state)
        assert f'formaction="{PAGE}1/{action}/"' in live_of(operator)
        operator.post(f"{PAGE}1/{action}/")
        assert archive.jobs[0]["state"] == then
        row = AuditEvent.objects.get(action="archive-job")
        assert without_trace(row.detail) == {"job": 1, "act": action}

    def test_offers_only_what_its_state_allows(self, archive: Archive, operator: Client) -> None:
        archive.add("copy", CT_STUDY, "running")
        page = live_of(operator)
        assert f"{PAGE}1/pause/" in page
        assert f"{PAGE}1/retry/" not in page and f"{PAGE}1/resume/" not in page

    def test_gets_another_priority(self, archive: Archive, operator: Client) -> None:
        archive.add("copy", CT_STUDY)
        operator.post(f"{PAGE}1/priority/", {"priority": "55"})
        assert archive.jobs[0]["priority"] == 55
        assert operator.post(f"{PAGE}1/priority/", {"priority": "x"}).status_code == 404

    def test_says_why_it_was_refused(self, archive: Archive, operator: Client) -> None:
        archive.add("evict", CT_STUDY, "done")
        page = operator.post(f"{PAGE}1/retry/", follow=True).content.decode()
        assert "job 1 is done" in page
        assert operator.post(f"{PAGE}1/explode/").status_code == 404

    def test_leads_back_to_the_list_as_it_was_and_nowhere_else(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.add("copy", CT_STUDY, "failed")
        kept = operator.post(f"{PAGE}1/retry/", {"next": f"{PAGE}?state=failed"})
        assert kept["Location"] == f"{PAGE}?state=failed"
        for foreign in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
            away = operator.post(f"{PAGE}1/pause/", {"next": foreign})
            assert away["Location"] == PAGE


class TestMany:
    def test_does_the_same_to_all_that_are_ticked(self, archive: Archive, operator: Client) -> None:
        for _ in range(3):
            archive.add("copy", CT_STUDY, "failed")
        page = operator.post(ACT, {"act": "retry", "picked": ["1", "3"]}, follow=True)
        assert "2 jobs: queued again." in page.content.decode()
        assert [job["state"] for job in archive.jobs] == ["queued", "failed", "queued"]
        row = AuditEvent.objects.get(action="archive-job")
        assert without_trace(row.detail) == {"act": "retry", "jobs": [1, 3]}

    def test_asks_before_it_cancels(self, archive: Archive, operator: Client) -> None:
        archive.add("copy", CT_STUDY)
        said = {"act": "cancel", "picked": ["1"], "next": f"{PAGE}?state=open"}
        asked = operator.post(ACT, said).content.decode()
        assert "Cancel 1 job?" in asked
        assert "No image is lost" in " ".join(asked.split())
        assert archive.jobs[0]["state"] == "queued"
        sure = operator.post(ACT, {**said, "sure": "1"})
        assert sure["Location"] == f"{PAGE}?state=open"
        assert archive.jobs[0]["state"] == "cancelled"

    def test_reaches_all_that_match_on_every_page(self, archive: Archive, operator: Client) -> None:
        for _ in range(60):
            archive.add("copy", CT_STUDY, "failed")
        archive.add("evict", CT_STUDY, "failed")
        assert "All 60 that match" in text_of(operator, f"{PAGE}?kind=copy")
        said = {"act": "retry", "all": "1", "kind": "copy", "total": "60"}
        assert "60 now" in operator.post(ACT, said).content.decode()
        page = operator.post(ACT, {**said, "sure": "1"}, follow=True).content.decode()
        assert "60 jobs: queued again." in page
        assert {job["kind"] for job in archive.jobs if job["state"] == "failed"} == {"evict"}

    def test_does_not_offer_all_where_the_archive_cannot_find_them(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.add("copy", CT_STUDY, "failed")
        assert "that match" not in text_of(operator, f"{PAGE}?study={CT_STUDY}")
        said = {"act": "retry", "all": "1", "study": CT_STUDY, "sure": "1"}
        page = operator.post(ACT, said, follow=True).content.decode()
        assert "No job is ticked" in page
        assert archive.jobs[0]["state"] == "failed"

    def test_tells_which_were_left_and_why(self, archive: Archive, operator: Client) -> None:
        archive.add("copy", CT_STUDY, "failed")
        archive.add("copy", CT_STUDY, "done")
        page = operator.post(ACT, {"act": "retry", "picked": ["1", "2"]}, follow=True)
        said = page.content.decode()
        assert "1 job: queued again." in said
        assert "1 job was left as it is: job 2 is done" in said

    def test_knows_no_other_act(self, archive: Archive, operator: Client) -> None:
        assert operator.post(ACT, {"act": "explode", "picked": ["1"]}).status_code == 404


class TestByHand:
    def test_starts_a_job_and_audits_it(self, archive: Archive, operator: Client) -> None:
        said = {"kind": "copy", "node": "CT", "study_uid": CT_STUDY}
        page = operator.post(PAGE, said, follow=True).content.decode()
        assert "Job 1 is queued" in page
        assert (archive.jobs[0]["kind"], archive.jobs[0]["requested_by"]) == ("copy", "archivist")
        row = AuditEvent.objects.get(action="archive-job")
        assert (row.study_uid, without_trace(row.detail)) == (
            CT_STUDY,
            {"kind": "copy", "node": "CT"},
        )

    @pytest.mark.parametrize("uid", ["", "../1", "1..2", "x"])
    def test_refuses_what_is_no_uid(self, archive: Archive, operator: Client, uid: str) -> None:
        response = operator.post(PAGE, {"kind": "copy", "node": "CT", "study_uid": uid})
        assert response.status_code == 422
        assert "id_study_uid_error" in response.content.decode()
        assert not archive.jobs
