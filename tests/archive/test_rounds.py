"""Recalls share a mount, and take the readiest good copy before they fail."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from archive_node import library
from archive_node.jobs import dispatch, runner
from archive_node.jobs.fellows import Fellows
from archive_node.models import Alarm, CopiedInstance, Copy, Job
from archive_node.steps.recall import recall
from archive_node.steps.work import StepAside
from archive_node.vault.base import MediumFailed, NeedsOperator, Thawing, VolumeState
from archive_node.vault.tape import TapeLibrary
from pacs_common import errors
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.test_crashes import killed_at
from tests.archive.vaults import (
    copied,
    flip_a_bit,
    frozen,
    leased,
    marked,
    on_another_volume,
    torn,
    two_vaults,
)

pytestmark = pytest.mark.slow

OTHER = "1.2.4"


def settled(lease, error):
    raise AssertionError(f"job {lease.job_id} was settled: {error}")


def walk(job: Job, settle=settled) -> None:
    """Run the step of a recall alone, with nobody to translate what it raises."""
    with Fellows(settle) as fellows:
        recall(leased(job), fellows, runner._repair)


def away(node, study_uid: str) -> None:
    """Let a node have evicted a study."""
    for one in node.studies[study_uid].instances.values():
        one.file.unlink()
        one.online = False


def wanted(study_uid: str, requested_by: str = "clinician") -> Job:
    return dispatch.request("recall", "CT", study_uid, requested_by)[0]


@pytest.fixture
def three(head, vault) -> list[str]:
    """Three evicted studies on one volume, the last one copied first."""
    uids = [STUDY, "1.2.4", "1.2.5"]
    for uid in uids[1:]:
        for number in range(3):
            head.arrive(uid, f"{uid}.{number}", unlike(number + 10))
    for uid in reversed(uids):
        copied(uid, "vault-1")
    for uid in uids:
        away(head, uid)
    head.calls.clear()
    return uids


def mounts(monkeypatch) -> list[str]:
    """Note the volumes that are made warm."""
    found: list[str] = []
    real = TapeLibrary.warm

    def warm(library, label, *waiting):
        found.append(label)
        return real(library, label, *waiting)

    monkeypatch.setattr(TapeLibrary, "warm", warm)
    return found


def sent(node) -> list[str]:
    return [call.rsplit("/", 1)[1] for call in node.calls if call.startswith("PUT")]


def test_all_who_wait_for_a_volume_are_served_by_one_mount_in_the_order_of_the_tape(
    three, head, monkeypatch
):
    jobs = [wanted(uid) for uid in three]
    warmed = mounts(monkeypatch)
    assert runner.run(jobs[0].id)

    assert {job.state for job in Job.objects.filter(kind="recall")} == {"done"}
    assert warmed == ["A00001"]
    rows = CopiedInstance.objects.order_by("copy_id", "offset")
    assert sent(head) == list(rows.values_list("sop_instance_uid", flat=True))
    assert [len(head.online(uid)) for uid in three] == [3, 3, 3]
    done = Job.objects.get(id=jobs[2].id)
    assert (done.attempts, done.instances_done, done.bytes_done) == (1, 3, 9000)


def test_a_recall_of_several_volumes_goes_back_to_the_queue_as_if_it_had_not_been_tried(
    three, head, vault
):
    on_another_volume(vault)
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    late = copied(STUDY, "vault-1")
    assert late.volume == "A00002"
    away_one = head.studies[STUDY].instances["1.2.3.9"]
    away_one.file.unlink()
    away_one.online = False
    both, leader = wanted(STUDY), wanted("1.2.5")
    runner.run(leader.id)

    both.refresh_from_db()
    assert (both.state, both.attempts, both.error) == ("queued", 0, "")
    assert both.due_at <= timezone.now()
    assert len(head.online(STUDY)) == 3  # of four
    assert runner.run(both.id)
    both.refresh_from_db()
    assert (both.state, both.attempts, both.instances_total) == ("done", 1, 1)
    assert len(head.online(STUDY)) == 4


def test_who_cannot_go_on_in_a_round_hinders_nobody(three, head):
    refusing, leader, last = wanted("1.2.4"), wanted("1.2.5"), wanted(STUDY)
    real = head.put_back

    def put_back(study_uid, *about):
        if study_uid == "1.2.4":
            raise errors.Unavailable("the node restarts")
        return real(study_uid, *about)

    head.put_back = put_back
    runner.run(leader.id)
    refusing.refresh_from_db()
    last.refresh_from_db()
    assert refusing.state in {"queued", "waiting"}
    assert last.state == "done"
    assert Job.objects.get(id=leader.id).state == "done"


def test_a_recall_that_is_taken_away_in_a_round_has_no_effect_any_more(three, head):
    lost, leader = wanted("1.2.4"), wanted("1.2.5")
    real = head.put_back

    def put_back(study_uid, *about):
        if study_uid == "1.2.5":  # which lies before it
            Job.objects.filter(id=lost.id).update(token=99)
        return real(study_uid, *about)

    head.put_back = put_back
    runner.run(leader.id)
    lost.refresh_from_db()
    assert (lost.state, lost.token) == ("running", 99)
    assert Job.objects.get(id=leader.id).state == "done"


def test_the_leases_of_all_in_a_round_are_kept_alive(three, head, archive):
    fellow, leader = wanted("1.2.4"), wanted("1.2.5")
    archive(lease_s=0.3)
    real, extended = head.put_back, threading.Event()

    def put_back(study_uid, *about):
        if study_uid == "1.2.5" and not extended.is_set():
            first = Job.objects.get(id=fellow.id).lease_until
            for _ in range(200):
                if Job.objects.get(id=fellow.id).lease_until > first:
                    extended.set()
                    break
                threading.Event().wait(0.02)
        answer = real(study_uid, *about)
        connection.close()
        return answer

    head.put_back = put_back
    runner.run(leader.id)
    assert extended.is_set()
    assert Job.objects.get(id=fellow.id).state == "done"


def test_those_who_came_along_are_given_back_when_the_leader_breaks(three, head):
    fellow, leader = wanted("1.2.4"), wanted("1.2.5")
    head.put_back = lambda *about: (_ for _ in ()).throw(errors.Unavailable("restarts"))
    runner.run(leader.id)
    fellow.refresh_from_db()
    assert (fellow.state, fellow.attempts, fellow.error) == ("queued", 0, "")


def test_only_what_the_node_lacks_is_read(three, head, monkeypatch):
    lacking = head.studies["1.2.4"].instances["1.2.4.1"]
    for one in head.studies["1.2.4"].instances.values():
        if one is not lacking:
            one.online = True
            one.file.write_bytes(b"")
    job = wanted("1.2.4")
    runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, job.bytes_total) == ("done", lacking.size_bytes)
    assert sent(head) == ["1.2.4.1"]


def test_space_is_reserved_before_a_byte_is_read(three, head):
    job = wanted(STUDY)
    walk(job)
    assert head.reserved == {STUDY: 9000}
    calls = [call for call in head.calls if call.startswith(("POST", "PUT"))]
    assert calls[0] == "POST /api/custody/reservations"


def test_a_recall_for_which_the_node_has_no_room_waits_and_mounts_nothing(three, head, monkeypatch):
    warmed = mounts(monkeypatch)
    head.space_bytes = 8999
    with pytest.raises(errors.DiskFull):
        walk(wanted(STUDY))
    assert warmed == [] and sent(head) == []


def test_one_in_a_round_for_whom_there_is_no_room_lets_the_others_pass(three, head):
    head.arrive("1.2.6", "1.2.6.1", unlike(6, 20_000))
    copied("1.2.6", "vault-1")
    away(head, "1.2.6")
    head.space_bytes = 10_000
    big, leader = wanted("1.2.6"), wanted("1.2.5")
    refused = []
    walk(leader, lambda lease, error: refused.append((lease.job_id, type(error))))
    assert refused == [(big.id, errors.DiskFull)]
    assert len(head.online("1.2.5")) == 3


def test_a_node_that_knows_no_reservations_is_served_all_the_same(three, head):
    head.reserve = lambda *about: (_ for _ in ()).throw(errors.NotFound("no such address"))
    job = wanted(STUDY)
    runner.run(job.id)
    job.refresh_from_db()
    assert job.state == "done"


@pytest.fixture
def doubly(archive, tmp_path, head) -> tuple[Copy, Copy]:
    """The study with a copy in each of two vaults, evicted; the vaults are near and far."""
    two_vaults(archive, tmp_path)
    copies = copied(STUDY, "near"), copied(STUDY, "far")
    away(head, STUDY)
    return copies


def test_a_bad_copy_is_passed_over_for_another_vaults_and_written_anew(doubly, head):
    near = doubly[0]
    flip_a_bit(near, "1.2.3.1")
    job = wanted(STUDY)
    runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, job.error) == ("done", "")
    assert len(head.online(STUDY)) == 3
    assert Copy.objects.get(id=near.id).bad_since is not None
    repair = Job.objects.get(kind="copy", state="queued")
    assert (repair.study_uid, repair.vault, repair.requested_by) == (STUDY, "near", "repair")


def test_a_volume_that_cannot_be_read_is_suspect_and_condemns_no_copy(doubly, head, monkeypatch):
    near = doubly[0]
    torn(monkeypatch, near)
    job = wanted(STUDY)
    runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, len(head.online(STUDY))) == ("done", 3)
    assert Copy.objects.get(id=near.id).bad_since is None
    alarm = Alarm.objects.get(ended_at=None)
    assert (alarm.kind, alarm.subject, alarm.level) == (
        "volume-suspect", f"near/{near.volume}", "critical",
    )  # fmt: skip
    assert "Input/output error" in alarm.text


def test_a_recall_whose_every_medium_fails_is_tried_again(doubly, head, monkeypatch):
    near, far = doubly
    torn(monkeypatch, near)
    torn(monkeypatch, far)
    with pytest.raises(MediumFailed):
        walk(wanted(STUDY))
    assert Copy.objects.filter(bad_since=None).count() == 2


def test_a_vault_that_is_away_is_passed_over(doubly, head, tmp_path):
    (tmp_path / "near").rename(tmp_path / "elsewhere")
    job = wanted(STUDY)
    runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, len(head.online(STUDY))) == ("done", 3)


def test_a_recall_waits_for_the_vaults_that_are_away(doubly, head, tmp_path):
    for name in ("near", "far"):
        (tmp_path / name).rename(tmp_path / f"{name}-elsewhere")
    with pytest.raises(StepAside, match="is it mounted") as aside:
        walk(wanted(STUDY))
    assert aside.value.until > timezone.now()


def test_a_recall_outlasts_a_node_that_is_away_for_however_long(three, head, archive):
    """Tries that count would end it, and lose what somebody asked for."""
    archive(nodes={"CT": "http://127.0.0.1:9"})
    with pytest.raises(StepAside, match="CT, which does not answer"):
        walk(wanted(STUDY))
    archive(nodes={"CT": head.url})
    head.put_back = lambda *about: (_ for _ in ()).throw(errors.Unavailable("restarts"))
    Job.objects.update(state="queued")
    with pytest.raises(StepAside, match="restarts"):
        walk(wanted(STUDY))


def test_a_mounted_volume_is_preferred(doubly, head, monkeypatch, tmp_path):
    for table in (tmp_path / "near" / "drives").glob("*.json"):
        table.unlink()  # every drive of the vault that stands first is empty
    walk(wanted(STUDY))
    assert len(head.online(STUDY)) == 3
    assert [one.drive for one in library.vault("near").volumes()] == [None]


def test_a_volume_on_the_shelf_is_asked_for_only_where_no_other_copy_is_ready(doubly, head):
    near = doubly[0]
    marked(library.vault("near"), near.volume, VolumeState.EXPORTED)
    walk(wanted(STUDY))
    assert len(head.online(STUDY)) == 3


def test_a_recall_from_the_shelf_names_its_volume(doubly, head):
    for copy in doubly:
        marked(library.vault(copy.vault), copy.volume, VolumeState.EXPORTED)
    with pytest.raises(NeedsOperator) as needs:
        walk(wanted(STUDY))
    assert (needs.value.vault, needs.value.label) == ("near", doubly[0].volume)


def test_a_suspect_volume_is_read_where_nothing_else_is_left(doubly, head, tmp_path):
    near = doubly[0]
    marked(library.vault("near"), near.volume, VolumeState.SUSPECT)
    (tmp_path / "far").rename(tmp_path / "elsewhere")
    walk(wanted(STUDY))
    assert len(head.online(STUDY)) == 3


def test_a_suspect_volume_is_passed_over(doubly, head, monkeypatch):
    near = doubly[0]
    marked(library.vault("near"), near.volume, VolumeState.SUSPECT)
    torn(monkeypatch, near)
    walk(wanted(STUDY))
    assert not Alarm.objects.exists()  # nobody tried it


def test_cold_members_are_all_asked_for_at_once(head, vault, monkeypatch):
    first = copied(STUDY, "vault-1")
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    late = copied(STUDY, "vault-1")
    away(head, STUDY)
    until, asked = datetime.now(UTC) + timedelta(hours=5), []
    frozen(monkeypatch, until, asked, "vault")
    with pytest.raises(Thawing) as thawing:
        walk(wanted(STUDY))
    assert asked == [first.member, late.member]
    assert thawing.value.until == until


def test_what_is_ready_is_brought_while_the_rest_thaws(doubly, head, monkeypatch):
    near, far = doubly
    asked: list[str] = []
    frozen(monkeypatch, datetime.now(UTC), asked, "far")
    flip_a_bit(near, "1.2.3.1")
    with pytest.raises(Thawing):
        walk(wanted(STUDY))
    assert sorted(head.online(STUDY)) == ["1.2.3.0", "1.2.3.2"]
    assert asked == [far.member]


def test_a_recall_that_lacks_nothing_is_done(head, vault):
    assert run_job("recall").state == "done"
    assert head.reserved == {}


def test_a_persons_wish_raises_the_priority_of_a_recall_that_nobody_waited_for(head, vault):
    job, _ = dispatch.request("recall", "CT", STUDY, "prior of 9", priority=15)
    again, is_new = dispatch.request("recall", "CT", STUDY, "clinician")
    job.refresh_from_db()
    assert (again.id, is_new, job.priority) == (job.id, False, 30)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4, 8])
def test_a_round_ends_once_though_its_worker_is_killed_in_it(three, head, count):
    jobs = [wanted(uid) for uid in three]
    killed_at(jobs[0], "pacs_common.node_client", "NodeClient.put_back", count)
    assert {job.state for job in Job.objects.filter(kind="recall")} == {"running"}
    over = timezone.now() - timedelta(seconds=1)
    Job.objects.filter(kind="recall").update(lease_until=over)
    for job in jobs:
        runner.run(job.id)
        Job.objects.filter(id=job.id).update(due_at=over)
        runner.run(job.id)
    assert {job.state for job in Job.objects.filter(kind="recall")} == {"done"}
    assert [len(head.online(uid)) for uid in three] == [3, 3, 3]
    assert len(sent(head)) == len(set(sent(head))) == 9
