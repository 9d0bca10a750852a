"""The scan: every node is asked, the rules decide, jobs are made once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from archive_node.jobs import actions, runner
from archive_node.models import Job, NodeState, StudyFacts
from archive_node.policy.scan import scan_all
from archive_node.steps import staging
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.node_stand_in import NodeStandIn, serving

pytestmark = pytest.mark.slow


def jobs(kind: str, **fields: str) -> list[Job]:
    return list(Job.objects.filter(kind=kind, **fields).order_by("id"))


def run_all() -> None:
    for job in Job.objects.filter(state="queued"):
        runner.run(job.id)


def fill(node: NodeStandIn, studies: int) -> None:
    """Give the node studies of 3000 bytes: 7.0 came first, 7.1 later, and so on."""
    for number in range(studies):
        node.arrive(f"7.{number}", f"7.{number}.1", unlike(number), ago_s=9000 - number)


def test_every_page_is_read_and_every_quiet_study_gets_one_copy_job(node, vault):
    fill(node, 7)  # the node gives three a page
    scan_all()
    scan_all()
    assert len(jobs("copy")) == 7
    assert NodeState.objects.get().studies == 7
    facts = StudyFacts.objects.get(study_uid="7.0")
    assert (facts.patient_issuer, facts.patient_id) == ("FREJUS", "42")
    assert facts.description == "Crâne sans injection"


def test_a_study_that_is_still_arriving_is_left_alone(node, vault, archive):
    archive(quiet_s=900)
    node.arrive(STUDY, "1.2.3.1", unlike(1), ago_s=60)
    scan_all()
    assert jobs("copy") == []


def test_a_copied_study_is_not_copied_again_until_something_arrives(head, vault):
    scan_all()
    run_all()
    scan_all()
    assert [job.state for job in jobs("copy")] == ["done"]
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    scan_all()
    assert [job.state for job in jobs("copy")] == ["done", "queued"]


def test_a_node_that_is_down_is_noted_and_never_stops_the_others(head, vault, archive):
    archive(nodes={"BEFORE": "http://127.0.0.1:1", "CT": head.url, "RF": "http://127.0.0.1:1"})
    scan_all()
    assert len(jobs("copy", node="CT")) == 1
    states = {state.name: state for state in NodeState.objects.all()}
    assert states["CT"].reachable and states["CT"].error == ""
    assert not states["BEFORE"].reachable and not states["RF"].reachable
    assert "RF: " in states["RF"].error


def test_a_node_that_comes_back_is_noted_too(head, vault, archive):
    archive(nodes={"CT": "http://127.0.0.1:1"})
    scan_all()
    archive(nodes={"CT": head.url})
    scan_all()
    assert NodeState.objects.get().reachable


def test_the_same_study_on_two_nodes_is_two_copies(head, vault, archive, tmp_path):
    with serving(NodeStandIn("RF", tmp_path / "rf", tmp_path / "trust")) as other:
        other.arrive(STUDY, "1.2.3.1", unlike(50))
        archive(nodes={"CT": head.url, "RF": other.url})
        scan_all()
        run_all()
        assert [job.state for job in jobs("copy")] == ["done", "done"]
        assert vault.find("RF/1.2.3/r1-1.tar") and vault.find("CT/1.2.3/r3-1.tar")


def test_nonsense_from_a_node_is_an_error_of_that_node(head, vault):
    head.studies[STUDY].revision = None
    scan_all()
    assert NodeState.objects.get().reachable is False
    assert "cannot be read" in NodeState.objects.get().error


def test_old_studies_are_evicted_by_age(head, vault, archive):
    archive(evict_after_days=30)
    scan_all()
    run_all()
    scan_all()
    assert jobs("evict") == []
    head.studies[STUDY].last_arrival_at = datetime.now(UTC) - timedelta(days=31)
    scan_all()
    (job,) = jobs("evict")
    run_all()
    assert head.online(STUDY) == {}
    assert job.requested_by == "rule"


def test_above_the_high_watermark_the_longest_unused_go_until_the_low_one(node, vault):
    fill(node, 5)
    scan_all()
    run_all()
    node.studies["7.0"].last_access_at = datetime.now(UTC)  # the oldest, but just read
    node.disk |= {"total_bytes": 100_000, "free_bytes": 14_000}  # 86 %: 6 kB above 80 %
    scan_all()
    assert [job.study_uid for job in jobs("evict")] == ["7.1", "7.2"]
    scan_all()  # the jobs that are under way count already
    assert len(jobs("evict")) == 2
    run_all()
    assert node.online("7.1") == {} and node.online("7.2") == {}
    assert node.online("7.0") and node.online("7.3")


def test_below_the_high_watermark_nothing_goes(node, vault):
    fill(node, 2)
    scan_all()
    run_all()
    node.disk |= {"total_bytes": 100_000, "free_bytes": 15_000}
    scan_all()
    assert jobs("evict") == []


def test_a_full_disk_never_evicts_what_is_not_proven(node, vault, archive):
    archive(quiet_s=10**6)
    fill(node, 3)
    node.disk |= {"total_bytes": 100_000, "free_bytes": 0}
    scan_all()
    assert jobs("evict") == []


def test_a_recall_request_of_a_node_becomes_a_job_in_its_name(head, vault):
    run_job("copy")
    run_job("evict")
    head.requests = [
        {"study_uid": STUDY, "requested_at": "2026-11-21T10:00:00+00:00",
         "requested_by": "C-MOVE from WS1"}
    ]  # fmt: skip
    scan_all()
    scan_all()
    (job,) = jobs("recall")
    assert job.requested_by == "C-MOVE from WS1"
    run_all()
    assert len(head.online(STUDY)) == 3
    assert head.requests == []


def test_a_rule_does_not_repeat_at_once_what_has_failed(head, vault):
    head.arrive(STUDY, "1.2.3.9", b"x" * 250_000)  # larger than a volume
    scan_all()
    run_all()
    scan_all()
    assert [job.state for job in jobs("copy")] == ["failed"]
    Job.objects.update(updated_at=datetime.now(UTC) - timedelta(minutes=16))
    scan_all()
    assert [job.state for job in jobs("copy")] == ["failed", "queued"]


def test_a_recalled_study_is_the_last_to_be_evicted_again(node, vault):
    fill(node, 2)
    scan_all()
    run_all()
    run_job("evict", "7.0")
    run_job("recall", "7.0")
    node.disk |= {"total_bytes": 100_000, "free_bytes": 14_999}
    node.studies["7.0"].last_access_at = None
    scan_all()
    assert next(job.study_uid for job in jobs("evict", requested_by="rule")) == "7.1"


def test_staging_that_an_ended_job_left_is_swept(head, vault, settings):
    left = settings.ARCHIVE.staging_dir / "job-424242"
    left.mkdir(parents=True)
    (left / "1.2.3.dcm").write_bytes(b"x")
    scan_all()
    assert not left.exists()


@pytest.mark.parametrize("uid", ["../x", ""])
def test_a_study_uid_that_is_none_never_becomes_a_job(head, vault, uid):
    head.studies[STUDY].uid = uid
    scan_all()
    assert Job.objects.count() == 0


def test_a_study_that_waits_for_a_quarantine_decision_stays_whole(head, vault, monkeypatch):
    """Once part of it is in the archive alone, the decision could not be taken any more."""
    scan_all()
    run_all()
    told = type(head.studies[STUDY]).facts
    monkeypatch.setattr(
        type(head.studies[STUDY]), "facts", lambda study: told(study) | {"quarantined": 1}
    )
    head.disk |= {"total_bytes": 100_000, "free_bytes": 0}
    scan_all()
    assert jobs("evict") == []


def test_a_disk_of_which_only_the_reserve_is_free_is_relieved(node, vault):
    fill(node, 2)
    scan_all()
    run_all()
    node.disk |= {"total_bytes": 100_000, "free_bytes": 20_000, "reserve_bytes": 20_000}
    scan_all()  # used: 80 % of the disk, but all that the node may use
    assert len(jobs("evict")) == 2


def test_a_job_made_while_staging_is_swept_keeps_its_folder(vault, settings):
    home = settings.ARCHIVE.staging_dir
    (home / "job-424241").mkdir(parents=True)

    def open_jobs() -> set[int]:
        (home / "job-424242").mkdir()  # its row came after the folders were listed
        return set()

    staging.sweep(open_jobs)
    assert not (home / "job-424241").exists()
    assert (home / "job-424242").exists()
    staging.clear(424242)


def test_what_a_person_cancelled_is_asked_for_again_only_after_a_day(head, vault):
    scan_all()
    (job,) = jobs("copy")
    actions.act("cancel", job.id, "archivist")
    scan_all()
    assert [one.state for one in jobs("copy")] == ["cancelled"]
    Job.objects.update(updated_at=timezone.now() - timedelta(days=1, minutes=1))
    scan_all()
    assert [one.state for one in jobs("copy")] == ["cancelled", "queued"]


def test_a_recall_that_waits_for_its_node_goes_on_as_soon_as_a_scan_reaches_it(
    head, vault, archive
):
    run_job("copy")
    run_job("evict")
    archive(nodes={"CT": "http://127.0.0.1:9"})
    assert run_job("recall").state == "waiting"
    scan_all()
    assert [one.state for one in jobs("recall")] == ["waiting"]
    archive(nodes={"CT": head.url})
    scan_all()
    (recalled,) = jobs("recall")
    assert recalled.state == "queued"
    runner.run(recalled.id)
    assert len(head.online(STUDY)) == 3
