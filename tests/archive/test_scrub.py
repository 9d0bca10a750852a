"""Volumes are read again: what went bad is found, replaced, and shouted about where it was all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from archive_node.jobs import dispatch, runner
from archive_node.models import Alarm, Copy, Job, Proof, StudyFacts
from archive_node.policy import scrubbing
from archive_node.steps import scrub as scrubs
from archive_node.vault.base import VolumeState
from tests.archive.conftest import STUDY, unlike
from tests.archive.vaults import (
    copied,
    flip_a_bit,
    marked,
    member_file,
    on_another_volume,
    torn,
    two_vaults,
)

pytestmark = pytest.mark.slow

OTHER = "1.2.4"


@pytest.fixture
def copies(head, vault) -> tuple[Copy, Copy]:
    """Two studies on one volume."""
    for number in range(3):
        head.arrive(OTHER, f"{OTHER}.{number}", unlike(number + 10))
    return copied(STUDY, "vault-1"), copied(OTHER, "vault-1")


def scrub(vault: str = "vault-1", volume: str = "A00001") -> Job:
    job, _ = dispatch.request_for_volume("scrub", vault, volume, "archivist")
    runner.run(job.id)
    job.refresh_from_db()
    return job


def evicted(node, study_uid: str) -> None:
    for one in node.studies[study_uid].instances.values():
        one.file.unlink()
        one.online = False


def test_every_copy_of_a_volume_is_read_and_noted(copies, head):
    head.calls.clear()
    job = scrub()
    assert (job.state, job.error) == ("done", "")
    assert (job.instances_done, job.bytes_done) == (6, 18_000)
    assert Copy.objects.filter(scrubbed_at__gte=job.created_at).count() == 2
    assert head.calls == []  # no node is asked where all is well


def test_a_flipped_bit_is_found_and_a_new_copy_is_asked_for_at_once(copies):
    flip_a_bit(copies[0], "1.2.3.2")
    job = scrub()
    assert job.state == "done" and "1 copies on A00001 were bad" in job.error
    bad, good = (Copy.objects.get(id=copy.id) for copy in copies)
    assert (
        bad.bad_since and bad.verified_at is None and "not those that were verified" in bad.problem
    )
    assert good.bad_since is None and good.scrubbed_at
    repair = Job.objects.get(kind="copy", state="queued")
    assert (repair.study_uid, repair.vault) == (STUDY, "vault-1")
    assert not Proof.objects.filter(study_uid=STUDY).exists()
    assert not Alarm.objects.exists()  # the node has it


def test_the_bad_copy_is_replaced_from_the_node(copies, head):
    flip_a_bit(copies[0])
    scrub()
    repair = Job.objects.get(kind="copy", state="queued")
    runner.run(repair.id)
    assert Copy.objects.get(study_uid=STUDY, bad_since=None).verified_at
    assert Proof.objects.filter(study_uid=STUDY).exists()


def test_a_member_that_is_gone_is_a_bad_copy(copies):
    member_file(copies[0]).unlink()
    scrub()
    assert "has no" in Copy.objects.get(id=copies[0].id).problem


def test_a_study_without_a_good_copy_that_is_not_online_is_shouted_about(copies, head):
    evicted(head, STUDY)
    flip_a_bit(copies[0], "1.2.3.2")
    scrub()
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.subject, alarm.level) == (
        "no-good-copy", STUDY, "critical",
    )  # fmt: skip


def test_a_study_of_a_node_that_is_away_is_shouted_about_unless_it_was_online(
    copies, head, archive
):
    evicted(head, STUDY)
    for copy in copies:
        flip_a_bit(copy)
    archive(nodes={"CT": "http://127.0.0.1:9"})
    StudyFacts.objects.create(node="CT", study_uid=OTHER, instances=3, online=3)
    scrub()
    assert [alarm.subject for alarm in Alarm.objects.all()] == [STUDY]


def test_a_second_good_copy_keeps_the_alarm_silent(archive, tmp_path, head):
    two_vaults(archive, tmp_path)
    near, far = copied(STUDY, "near"), copied(STUDY, "far")
    evicted(head, STUDY)
    flip_a_bit(near)
    scrub("near", near.volume)
    assert not Alarm.objects.exists()
    assert Job.objects.get(kind="copy", state="queued").vault == "near"
    assert Copy.objects.get(id=far.id).bad_since is None


def test_a_volume_that_cannot_be_read_is_suspect_and_its_scrub_stops(copies, monkeypatch):
    torn(monkeypatch, copies[0])
    job = scrub()
    assert job.state == "failed" and "suspect now" in job.error
    assert Copy.objects.filter(bad_since=None).count() == 2  # a drive's fault is none of theirs
    assert Alarm.objects.get().kind == "volume-suspect"


def test_a_scrub_goes_on_after_the_last_copy_that_was_read(copies, head):
    job, _ = dispatch.request_for_volume("scrub", "vault-1", "A00001", "archivist")
    Copy.objects.filter(id=copies[0].id).update(scrubbed_at=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, job.instances_total) == ("done", 3)


def test_a_scrub_gives_way_to_a_recall_and_goes_on_behind_it(copies, head):
    evicted(head, OTHER)
    dispatch.request("recall", "CT", OTHER, "clinician")
    job = scrub()
    assert (job.state, job.attempts) == ("queued", 0)
    assert job.due_at > timezone.now()
    assert Copy.objects.filter(scrubbed_at__isnull=False).count() == 1  # what was done stays done
    runner.run(Job.objects.get(kind="recall").id)
    Job.objects.filter(id=job.id).update(due_at=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, job.instances_total) == ("done", 3)


def test_a_drive_is_let_go_now_and_then(copies, monkeypatch):
    monkeypatch.setattr(scrubs, "STRETCH_S", 0.0)
    monkeypatch.setattr(scrubs, "BREATH_S", 0.0)
    assert scrub().state == "done"
    assert Copy.objects.filter(scrubbed_at__isnull=False).count() == 2


def aged(copy: Copy, days: float) -> None:
    Copy.objects.filter(id=copy.id).update(
        scrubbed_at=None, verified_at=timezone.now() - timedelta(days=days)
    )


@pytest.fixture
def volumes(head, vault) -> tuple[Copy, Copy]:
    """Two studies on two volumes."""
    head.arrive(OTHER, f"{OTHER}.1", unlike(10))
    first = copied(STUDY, "vault-1")
    on_another_volume(vault)
    second = copied(OTHER, "vault-1")
    assert (first.volume, second.volume) == ("A00001", "A00002")
    return first, second


def test_the_volume_that_was_not_read_for_longest_is_scrubbed_first(volumes):
    aged(volumes[0], 91)
    aged(volumes[1], 95)
    (asked,) = scrubbing.request_due()
    assert (asked.kind, asked.volume, asked.requested_by) == ("scrub", "A00002", "schedule")
    assert scrubbing.request_due() == []  # one at a time in a vault
    runner.run(asked.id)
    assert [job.volume for job in scrubbing.request_due()] == ["A00001"]


def test_what_was_read_lately_is_not_scrubbed(volumes):
    aged(volumes[0], 89)
    assert scrubbing.request_due() == []


def test_nothing_is_scrubbed_where_the_setting_says_never(volumes, archive):
    aged(volumes[0], 1000)
    archive(scrub_days=0)
    assert scrubbing.request_due() == []
    assert not Alarm.objects.exists()


def test_each_vault_has_a_scrub_of_its_own(archive, tmp_path, head):
    two_vaults(archive, tmp_path)
    for name in ("near", "far"):
        aged(copied(STUDY, name), 100)
    assert [job.vault for job in scrubbing.request_due()] == ["near", "far"]


def test_a_scrub_that_failed_rests_for_a_day(volumes):
    aged(volumes[0], 100)
    (asked,) = scrubbing.request_due()
    Job.objects.filter(id=asked.id).update(state="failed")
    assert scrubbing.request_due() == []
    assert len(scrubbing.request_due(timezone.now() + timedelta(days=2))) == 1


def test_a_volume_that_was_not_read_for_far_too_long_raises_the_alarm_until_it_was(volumes):
    aged(volumes[0], 120)
    (asked,) = scrubbing.request_due()
    alarm = Alarm.objects.get(ended_at=None)
    assert (alarm.kind, alarm.subject) == ("scrub-overdue", "vault-1/A00001")
    scrubbing.request_due()
    assert Alarm.objects.count() == 1
    runner.run(asked.id)
    scrubbing.request_due()
    assert not Alarm.objects.filter(ended_at=None).exists()


def test_a_volume_on_the_shelf_is_not_asked_for_but_is_overdue(volumes, vault):
    marked(vault, "A00001", VolumeState.EXPORTED)
    aged(volumes[0], 120)
    assert scrubbing.request_due() == []
    assert Alarm.objects.get().subject == "vault-1/A00001"
