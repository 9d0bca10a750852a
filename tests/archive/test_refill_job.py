"""A node that says it replaces a lost one is refilled by a job, without anybody's word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from archive_node.jobs import dispatch, runner
from archive_node.models import AuditLine, Copy, Job, MountRequest
from archive_node.policy.scan import scan_all
from archive_node.steps import give_back
from archive_node.vault.base import VolumeState
from tests.archive.conftest import STUDY
from tests.archive.node_stand_in import NodeStandIn
from tests.archive.test_restore_node import NEW, OLD, empty, full  # noqa: F401 - fixtures
from tests.archive.vaults import flip_a_bit, marked

MARK = {"id": "5e7", "began_at": "2026-11-28T10:00:00+00:00"}


@pytest.fixture
def spare(empty: NodeStandIn) -> NodeStandIn:  # noqa: F811
    """An empty node that was begun by `take-over`."""
    empty.take_over = dict(MARK)
    return empty


def refill() -> Job:
    """Scan, and run the job that the scan made, as a worker would."""
    scan_all()
    job = Job.objects.get(kind=Job.Kind.RESTORE)
    runner.run(job.id)
    job.refresh_from_db()
    return job


def test_the_next_scan_sees_it_and_a_job_brings_all_back(full, spare):  # noqa: F811
    job = refill()
    assert (job.state, job.node, job.error) == ("done", "CT", "3 studies are back")
    for uid in (STUDY, OLD, NEW):
        assert spare.online(uid) == full.online(uid)
    assert (spare.take_over, spare.missing) == (None, 0)
    assert job.bytes_total > 0 and job.bytes_done > 0


def test_a_node_that_does_not_say_so_is_left_alone(full, empty):  # noqa: F811
    scan_all()
    assert not Job.objects.filter(kind=Job.Kind.RESTORE).exists()


def test_scans_ask_for_one_job_and_let_a_failed_one_rest(full, spare):  # noqa: F811
    scan_all()
    scan_all()
    (job,) = Job.objects.filter(kind=Job.Kind.RESTORE)
    assert AuditLine.objects.filter(kind="asked", details__operation="restore").count() == 1
    Job.objects.filter(id=job.id).update(state="failed", updated_at=timezone.now())
    scan_all()
    assert Job.objects.filter(kind=Job.Kind.RESTORE).count() == 1
    Job.objects.filter(id=job.id).update(updated_at=timezone.now() - timedelta(days=1))
    scan_all()
    assert Job.objects.filter(kind=Job.Kind.RESTORE).count() == 2


def test_a_volume_on_the_shelf_is_asked_for_and_the_node_stays_marked(full, spare, vault):  # noqa: F811
    marked(vault, "A00001", VolumeState.EXPORTED)
    job = refill()
    assert (job.state, job.waits_for) == ("waiting", "volume A00001 of vault-1")
    assert MountRequest.objects.filter(volume="A00001", ended_at=None).exists()
    assert spare.take_over == MARK


def test_what_no_copy_holds_any_more_is_told_and_ends_the_wait(full, spare):  # noqa: F811
    flip_a_bit(Copy.objects.get(study_uid=NEW))
    job = refill()
    assert job.state == "done"
    assert "1 are not whole" in job.error and NEW in job.error
    assert (spare.take_over, spare.missing) == (None, 1)
    assert spare.online(OLD) == full.online(OLD)


def test_it_lets_a_recall_at_the_drives_and_goes_on(full, spare, monkeypatch):  # noqa: F811
    monkeypatch.setattr(give_back, "LOOK_EVERY_S", 0.0)
    wanted, _ = dispatch.request("recall", "CT", OLD, "clinician")
    job = refill()
    assert (job.state, job.attempts) == ("queued", 0)
    Job.objects.filter(id=wanted.id).update(state="done")
    Job.objects.filter(id=job.id).update(due_at=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    assert job.state == "done"
    assert spare.online(OLD) == full.online(OLD)
