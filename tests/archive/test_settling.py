"""What becomes of a job, given what stops it: wait, be tried again, end, call somebody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from archive_node.jobs import dispatch, mounts, moves, runner
from archive_node.models import Alarm, Job, MountRequest
from archive_node.vault.base import MediumFailed, NeedsOperator, Thawing, VolumeState
from pacs_common import errors
from tests.archive.conftest import STUDY

pytestmark = pytest.mark.django_db(transaction=True)


class Marking:
    """Stands in for a vault that keeps marks (this branch's tape library does not)."""

    def __init__(self) -> None:
        self.marked: list[tuple[str, VolumeState]] = []

    def mark(self, label: str, state: VolumeState) -> None:
        self.marked.append((label, state))


@pytest.fixture
def stopped(node, vault, monkeypatch):
    """Run a job whose only step raises this."""

    def run(error: Exception, kind: str = "recall", study: str = STUDY) -> Job:
        def step(work) -> None:
            raise error

        monkeypatch.setitem(runner.STEPS, kind, (step,))
        job, _ = dispatch.request(kind, "CT", study, "clinician")
        assert runner.run(job.id)
        job.refresh_from_db()
        return job

    return run


def test_a_job_whose_volume_is_on_the_shelf_asks_for_it_once_and_waits(stopped):
    error = NeedsOperator("vault-1", "A00012")
    jobs = [stopped(error), stopped(error, study="9.9")]
    assert {(job.state, job.waits_for, job.attempts) for job in jobs} == {
        ("waiting", "volume A00012 of vault-1", 0)
    }
    request = MountRequest.objects.get()
    assert (request.vault, request.volume, request.ended_at) == ("vault-1", "A00012", None)
    assert set(mounts.waiting_for(request)) == set(jobs)


def test_a_job_whose_bytes_are_frozen_waits_until_they_are_not(stopped):
    until = timezone.now() + timedelta(hours=5)
    job = stopped(Thawing("asked for", until))
    assert (job.state, job.waits_for, job.due_at) == ("waiting", "cold storage", until)
    assert job.attempts == 0


def test_a_recall_waits_for_space_on_its_node_and_is_never_lost(stopped):
    for _ in range(7):
        job = stopped(errors.DiskFull("CT: it does not fit"))
        assert (job.state, job.waits_for, job.attempts) == ("waiting", "space on CT", 0)
        assert moves.wake(moves.waits_for_space("CT")) == 1


def test_the_archives_own_full_disk_is_no_matter_of_the_node(stopped):
    job = stopped(OSError(28, "No space left on device", "/var/spool"))
    assert (job.state, job.attempts, job.waits_for) == ("queued", 1, "")
    job = stopped(errors.DiskFull("the vault is full"), kind="copy")
    assert (job.state, job.attempts) == ("queued", 1)


def test_a_medium_that_failed_makes_its_volume_suspect_and_calls_somebody(stopped, monkeypatch):
    kept = Marking()
    monkeypatch.setattr("archive_node.library.vault", {"vault-1": kept}.__getitem__)
    job = stopped(MediumFailed("vault-1", "A00001", "drive 1 is stuck"))
    assert (job.state, job.attempts) == ("queued", 1)
    assert kept.marked == [("A00001", "suspect")]
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.subject) == ("volume-suspect", "vault-1/A00001")
    assert "drive 1 is stuck" in alarm.text


def test_a_medium_that_failed_calls_somebody_where_the_vault_keeps_no_marks(stopped):
    stopped(MediumFailed("vault-1", "A00001", "drive 1 is stuck"))
    assert Alarm.objects.get().subject == "vault-1/A00001"


def test_a_job_that_nobody_foresaw_fails_and_says_so(stopped):
    job = stopped(ZeroDivisionError("one\ntwo"))
    assert (job.state, job.error) == ("failed", "unexpected ZeroDivisionError: one two")


def test_a_request_that_nobody_waits_for_any_more_is_ended(stopped):
    stopped(NeedsOperator("vault-1", "A00012"))
    old = timezone.now() - timedelta(days=1)
    MountRequest.objects.update(asked_at=old)
    assert mounts.end_unwanted() == 0
    Job.objects.update(state="cancelled", waits_for="")
    assert mounts.end_unwanted() == 1
    assert MountRequest.objects.get().ended_at
