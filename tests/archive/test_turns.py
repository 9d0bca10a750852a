"""Whose turn it is: the most urgent first, a place for recalls, no more copies than drives."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from archive_node import library
from archive_node.jobs import actions, dispatch, progress, runner, states, turns
from archive_node.models import Job
from archive_node.tasks import run_job
from tests.archive.conftest import STUDY

pytestmark = pytest.mark.django_db(transaction=True)


def ask(kind: str, number: int = 0, vault: str = "", **fields: object) -> Job:
    job, _ = dispatch.request(kind, "CT", f"{STUDY}.{number}", "x", vault=vault)
    Job.objects.filter(id=job.id).update(**fields)
    return job


def two_vaults(archive, tmp_path, drives: int = 2) -> None:
    written = {name: f"tape:{tmp_path / name}?drives={drives}" for name in ("onsite", "offsite")}
    archive(vaults_written=written)
    for name in written:
        library.vault(name)


def test_a_recall_overtakes_any_number_of_copies(node):
    copies = [ask("copy", number) for number in range(20)]
    recall = ask("recall")
    assert turns.claim_next().job_id == recall.id
    assert turns.claim_next().job_id == copies[0].id


def test_a_message_for_a_copy_brings_the_recall_that_came_later(head, vault):
    copy, _ = dispatch.request("copy", "CT", STUDY, "rule")
    recall, _ = dispatch.request("recall", "CT", STUDY, "clinician")
    run_job(copy.id)
    recall.refresh_from_db()
    copy.refresh_from_db()
    assert (recall.state, copy.state) == ("done", "queued")


def test_the_higher_priority_and_then_the_longer_due_come_first(node):
    late, early = ask("copy", 1), ask("copy", 2)
    Job.objects.filter(id=early.id).update(due_at=timezone.now() - timedelta(hours=1))
    raised = ask("copy", 3, priority=11)
    order = [job.id for job in turns.startable(timezone.now(), 9)]
    assert order == [raised.id, early.id, late.id]


def test_what_an_operator_wants_now_comes_first_of_all(node):
    ask("recall", 1)
    wanted = ask("copy", 2)
    actions.act("now", wanted.id, "archivist")
    assert turns.claim_next().job_id == wanted.id


def test_one_place_is_left_for_recalls_when_copies_are_many(node, archive):
    archive(jobs_at_once=3)
    for number in range(5):
        ask("copy", number)
    assert turns.claim_next() and turns.claim_next()
    assert turns.claim_next() is None
    recall = ask("recall", 9)
    assert turns.claim_next().job_id == recall.id
    ask("recall", 10)
    assert turns.claim_next() is None  # every place is taken


def test_a_place_is_not_left_where_there_is_only_one(node, archive):
    archive(jobs_at_once=1)
    ask("copy")
    assert turns.claim_next()


def test_no_vault_gets_more_copies_than_it_has_drives(node, archive, tmp_path):
    archive(jobs_at_once=10)
    two_vaults(archive, tmp_path, drives=1)
    first = ask("copy", 1, "onsite")
    ask("copy", 2, "onsite")
    other = ask("copy", 3, "offsite")
    assert [turns.claim_next().job_id, turns.claim_next().job_id] == [first.id, other.id]
    assert turns.claim_next() is None


def test_equals_take_turns_between_the_vaults(node, archive, tmp_path):
    archive(jobs_at_once=10)
    two_vaults(archive, tmp_path)
    first = ask("copy", 1, "onsite")
    ask("copy", 2, "onsite")
    other = ask("copy", 3, "offsite")
    assert [turns.claim_next().job_id, turns.claim_next().job_id] == [first.id, other.id]


def test_what_a_dead_worker_left_takes_no_place_and_is_claimed_again(node, archive):
    archive(jobs_at_once=2)
    left = ask("copy")
    states.claim(left.id)
    assert turns.claim_next() is None
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert turns.claim_next().job_id == left.id


def test_what_is_taken_along_with_another_takes_no_place(node, archive):
    archive(jobs_at_once=2)
    leader, along = ask("recall", 1), ask("recall", 2)
    lease = states.claim(leader.id)
    mark = states.at_work_on.set(leader.id)
    fellow = states.claim(along.id)
    states.at_work_on.reset(mark)
    along.refresh_from_db()
    assert along.waits_for == f"job {leader.id}"
    copy = ask("copy", 3)
    assert turns.claim_next().job_id == copy.id
    fellow.finish()
    lease.finish()
    along.refresh_from_db()
    assert along.waits_for == ""


def test_workers_that_look_in_the_same_moment_take_no_more_than_there_are_places(node, archive):
    archive(jobs_at_once=3)
    for number in range(8):
        ask("copy", number)
    taken, start = [], threading.Barrier(5)

    def look() -> None:
        start.wait()
        taken.append(turns.claim_next())
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([lease for lease in taken if lease is not None]) == 2


def test_a_worker_without_work_says_so(node):
    assert runner.run_next() is False


def test_a_second_request_lends_the_open_job_its_higher_priority(node):
    job, _ = dispatch.request("recall", "CT", STUDY, "prior of 9.9", priority=15)
    again, made = dispatch.request("recall", "CT", STUDY, "clinician")
    job.refresh_from_db()
    assert (again.id, made, job.priority) == (job.id, False, 30)
    dispatch.request("recall", "CT", STUDY, "prior of 9.9", priority=15)
    job.refresh_from_db()
    assert job.priority == 30


def done(kind: str, took_s: float) -> None:
    now = timezone.now()
    job = Job.objects.create(
        kind=kind, node="CT", study_uid="9", requested_by="x", state="done",
        started_at=now - timedelta(seconds=took_s),
    )  # fmt: skip
    Job.objects.filter(id=job.id).update(updated_at=now)


def test_the_place_in_the_queue_and_the_time_are_told(node, archive):
    archive(jobs_at_once=2)
    done("copy", 60)
    done("recall", 10)
    copies = [ask("copy", number) for number in range(4)]
    recall = ask("recall", 9)
    places = progress.places(list(Job.objects.all()), timezone.now())
    assert places[recall.id] == progress.Place(0, 10)
    assert [places[copy.id].ahead for copy in copies] == [1, 2, 3, 4]
    assert places[copies[2].id].expected_s == 5 + 2 * 30 + 60


def test_the_time_is_unknown_where_no_job_of_the_kind_was_done(node):
    job = ask("recall")
    assert progress.places([job], timezone.now()) == {job.id: progress.Place(0, None)}


def test_a_running_job_tells_its_rate_and_the_time_left(node):
    job = ask("copy")
    lease = states.claim(job.id)
    lease.expect(10, 1000)
    lease.advance(250)
    began = timezone.now() - timedelta(seconds=5)
    Job.objects.update(counting_since=began, updated_at=began + timedelta(seconds=5))
    job.refresh_from_db()
    assert progress.bytes_per_s(job) == 50
    assert progress.seconds_left(job) == 15
    lease.finish()
    job.refresh_from_db()
    assert progress.seconds_left(job) is None
