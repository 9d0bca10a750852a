"""The row is the queue: one claim wins, leases expire, every move is conditional."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from archive_node.jobs import actions, dispatch, runner, states
from archive_node.models import Job
from archive_node.steps.work import LeaseLost
from pacs_common import errors
from tests.archive.conftest import STUDY, run_job

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def job(node) -> Job:
    return dispatch.request("copy", "CT", STUDY, "rule")[0]


def expire(job: Job) -> None:
    Job.objects.filter(id=job.id).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_one_of_many_workers_claims_a_job(job):
    claims, start = [], threading.Barrier(6)

    def work() -> None:
        start.wait()
        claims.append(states.claim(job.id))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([claim for claim in claims if claim is not None]) == 1
    assert len(claims) == 6
    job.refresh_from_db()
    assert (job.attempts, job.token) == (1, 1)


def test_a_job_is_not_claimed_while_its_lease_runs_and_is_afterwards(job):
    assert states.claim(job.id)
    assert states.claim(job.id) is None
    expire(job)
    assert states.claim(job.id)
    job.refresh_from_db()
    assert (job.attempts, job.token) == (2, 2)


def test_a_worker_that_lost_its_lease_has_no_effect(job):
    slow = states.claim(job.id)
    expire(job)
    quick = states.claim(job.id)
    for act in (slow.extend, slow.finish, lambda: slow.fail("x"), lambda: slow.postpone("x")):
        with pytest.raises(LeaseLost):
            act()
    with pytest.raises(LeaseLost), slow.fenced():
        pytest.fail("the block must not run")
    with pytest.raises(LeaseLost):
        slow.check()
    quick.finish()
    job.refresh_from_db()
    assert (job.state, job.error) == ("done", "")


def test_a_fenced_block_that_fails_leaves_nothing_behind(job):
    lease = states.claim(job.id)
    with pytest.raises(RuntimeError), lease.fenced():
        Job.objects.create(kind="evict", node="CT", study_uid="9.9", requested_by="x")
        raise RuntimeError
    assert Job.objects.count() == 1


def test_a_running_job_keeps_its_lease_alive(head, vault, archive):
    archive(lease_s=0.6)
    head.delay_s = 0.5  # three instances: longer than the lease
    job = run_job("copy")
    assert (job.state, job.attempts) == ("done", 1)


def test_a_job_that_loses_its_lease_while_running_stops(head, vault, archive):
    archive(lease_s=0.6)
    head.delay_s = 0.5
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    thread = threading.Thread(target=lambda: (runner.run(job.id), connection.close()))
    thread.start()
    while not head.called("GET /api/custody/studies/1.2.3/instances"):
        threading.Event().wait(0.02)
    Job.objects.filter(id=job.id).update(token=99)  # another worker has it now
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.token) == ("running", 99)
    assert vault.find("CT/1.2.3/r3-1.tar") is None


def test_a_second_request_for_the_same_work_returns_the_open_job(job):
    again, made = dispatch.request("copy", "CT", STUDY, "archivist")
    assert (again.id, made) == (job.id, False)
    other, made = dispatch.request("recall", "CT", STUDY, "archivist")
    assert made and other.id != job.id


def test_requests_at_the_same_moment_make_one_job(node):
    made, start = [], threading.Barrier(5)

    def ask() -> None:
        start.wait()
        made.append(dispatch.request("recall", "CT", STUDY, "clinician"))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job, _ in made}) == 1
    assert sum(new for _, new in made) == 1


def test_a_node_that_is_away_is_tried_again_later_and_given_up_at_last(job, archive):
    archive(nodes={"CT": "http://127.0.0.1:1"})
    for attempt, pause_s in ((1, 5), (2, 30), (3, 120), (4, 600)):
        Job.objects.filter(id=job.id).update(due_at=timezone.now())
        assert runner.run(job.id)
        job.refresh_from_db()
        assert (job.state, job.attempts) == ("queued", attempt)
        assert timedelta(0) < job.due_at - timezone.now() <= timedelta(seconds=pause_s)
        assert "CT: " in job.error
        assert runner.run(job.id) is False  # not due
    Job.objects.filter(id=job.id).update(due_at=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    assert job.state == "failed"
    assert job.error.endswith("(given up after 5 attempts)")


def test_a_job_that_kills_every_worker_is_given_up(job):
    Job.objects.filter(id=job.id).update(attempts=states.MAX_ATTEMPTS)
    runner.run(job.id)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "workers did not come back" in job.error


def test_what_trying_again_cannot_mend_fails_at_once_in_one_line(node, vault):
    job = run_job("copy", "9.9.9")
    assert (job.state, job.attempts) == ("failed", 1)
    assert "never had it" in job.error
    assert "\n" not in job.error


def test_a_failed_job_is_queued_again_on_request_and_no_other(job):
    with pytest.raises(errors.Conflict, match="is queued: it cannot be retried"):
        actions.act("retry", job.id, "archivist")
    states.claim(job.id).fail("no luck")
    job.refresh_from_db()
    again = actions.act("retry", job.id, "archivist")
    assert (again.state, again.attempts, again.error) == ("queued", 0, "")


def test_a_failed_job_is_not_queued_beside_an_open_one(job):
    states.claim(job.id).fail("no luck")
    newer, _ = dispatch.request("copy", "CT", STUDY, "rule")
    with pytest.raises(errors.Conflict, match=f"job {newer.id} does this already"):
        actions.act("retry", job.id, "archivist")


def test_what_is_due_and_what_a_dead_worker_left_is_sent(job, settings, tmp_path):
    late, _ = dispatch.request("recall", "CT", STUDY, "x")
    Job.objects.filter(id=late.id).update(due_at=timezone.now() + timedelta(hours=1))
    assert dispatch.send_due() == 1
    states.claim(job.id)
    assert dispatch.send_due() == 0
    expire(job)
    assert dispatch.send_due() == 1


@pytest.mark.parametrize("move", ["finish", "fail", "postpone"])
def test_the_moves_are_those_of_the_table(job, move):
    sources, target = states.MOVES[move]
    lease = states.claim(job.id)
    job.refresh_from_db()
    assert job.state in sources
    getattr(lease, move)(*([] if move == "finish" else ["why"]))
    job.refresh_from_db()
    assert job.state == target
    with pytest.raises(LeaseLost):
        getattr(lease, move)(*([] if move == "finish" else ["why"]))
