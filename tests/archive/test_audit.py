"""The archive's audit: what operators asked for and how each job ended, for the portal."""

from __future__ import annotations

import pytest

from archive_node.jobs import dispatch, runner, states
from archive_node.models import AuditLine, Job, StudyFacts
from tests.archive.conftest import STUDY, run_job
from tests.archive.test_api import Caller, asked, is_problem

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/api/audit/lines"


@pytest.fixture
def collector(portal) -> Caller:
    return Caller(portal, "audit.read")


def kinds() -> list[str]:
    return list(AuditLine.objects.order_by("id").values_list("kind", flat=True))


def test_a_job_that_was_asked_for_and_done_is_two_lines(head, vault, portal, collector):
    job = Caller(portal, "archive.operate").post("/api/jobs", asked()).json()["job"]
    runner.run(job["id"])
    StudyFacts.objects.update_or_create(
        node="CT", study_uid=STUDY, defaults={"patient_issuer": "FREJUS", "patient_id": "P1"}
    )
    told = collector.get(PAGE).json()
    first, second = told["records"]
    assert told["patients"] == {STUDY: {"issuer": "FREJUS", "id": "P1"}}
    assert (first["kind"], first["by"], first["operation"]) == ("asked", "archivist", "copy")
    assert (second["kind"], second["study_uid"], second["node"]) == ("job-done", STUDY, "CT")
    assert second["instances_done"] == 3
    assert first["key"] != second["key"]


def test_a_job_that_failed_says_why_and_who_tried_again(node, vault, portal, collector):
    job = run_job("evict")
    assert job.state == Job.State.FAILED
    Caller(portal, "archive.operate").post(f"/api/jobs/{job.id}/retry")
    failed, retried = collector.get(PAGE).json()["records"]
    assert (failed["kind"], failed["why"]) == ("job-failed", job.error)
    assert (retried["kind"], retried["by"], retried["job"]) == ("retried", "archivist", job.id)


def test_a_job_of_a_rule_is_told_as_the_rules(head, vault):
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    runner.run(job.id)
    assert AuditLine.objects.get().by == "rule"


def test_lines_come_once_each_from_where_the_last_answer_ended(head, vault, collector):
    for number in range(5):
        AuditLine.objects.create(kind="asked", by=str(number))
    found, cursor, more = [], "", True
    while more:
        told = collector.get(PAGE, after=cursor, limit="2").json()
        found += [line["by"] for line in told["records"]]
        cursor, more = told["next"], told["more"]
    assert found == list("01234")
    assert collector.get(PAGE, after=cursor).json() == {
        "records": [], "patients": {}, "next": cursor, "more": False,
    }  # fmt: skip


def test_a_cursor_of_another_database_begins_anew(archive, collector):
    AuditLine.objects.create(kind="asked", by="x")
    assert len(collector.get(PAGE, after="999999").json()["records"]) == 1


def test_only_the_collector_may_read_it(archive, portal, collector):
    assert is_problem(Caller(portal, "archive.read").get(PAGE), 403)
    for nonsense in ({"after": "x"}, {"limit": "0"}, {"limit": "1001"}, {"after": "-1"}):
        assert is_problem(collector.get(PAGE, **nonsense), 400)


def test_nothing_is_told_of_an_outcome_that_was_not_committed(head, vault):
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    lease = states.claim(job.id)
    Job.objects.filter(id=job.id).update(token=99)
    with pytest.raises(states.LeaseLost):
        lease.finish()
    assert kinds() == []
