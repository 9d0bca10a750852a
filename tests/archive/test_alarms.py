"""Alarms: one row from beginning to end, raised by what a scan sees."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from archive_node import alarms
from archive_node.catalogue import mark_bad
from archive_node.models import Alarm, Copy, EvictionList, Job, NodeState, StudyFacts
from archive_node.policy import evictions
from archive_node.policy.scan import scan_all
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.test_scan import run_all


def standing(kind: str) -> list[Alarm]:
    return list(Alarm.objects.filter(kind=kind, ended_at=None).order_by("subject"))


def test_an_alarm_is_one_row_from_its_beginning_to_its_end(db):
    for text in ("one", "two\nlines"):
        alarms.raise_alarm("volume-suspect", "A00001", "warning", text)
    row = Alarm.objects.get()
    assert (row.text, row.ended_at) == ("two lines", None)
    assert row.seen_at > row.began_at
    alarms.end_alarm("volume-suspect", "A00001")
    alarms.end_alarm("volume-suspect", "A00001")
    assert Alarm.objects.get().ended_at is not None
    alarms.raise_alarm("volume-suspect", "A00001", "warning", "again")
    assert Alarm.objects.count() == 2


def test_one_that_becomes_critical_is_told_again_whoever_saw_it(db):
    alarms.raise_alarm("disk-filling", "CT", "warning", "x")
    alarms.acknowledge(Alarm.objects.get().id, "it")
    Alarm.objects.update(mailed_at=timezone.now(), posted_at=timezone.now())
    alarms.raise_alarm("disk-filling", "CT", "warning", "x")
    assert Alarm.objects.get().acknowledged_by == "it"
    alarms.raise_alarm("disk-filling", "CT", "critical", "x")
    row = Alarm.objects.get()
    assert (row.mailed_at, row.posted_at, row.acknowledged_at) == (None, None, None)


@pytest.fixture
def filling(today, vault):
    """A node of 100 kB with one proven study of 3000 bytes, to which 24 kB come a day."""
    today.arrive(STUDY, "1.2.3.1", unlike(1))
    today.disk |= {"total_bytes": 100_000, "free_bytes": 50_000, "reserve_bytes": 0}
    today.arrivals = {"bytes_a_day": 24_000}
    scan_all()
    run_all()
    return today


def test_hours_before_a_disk_is_full_and_too_little_may_go_it_is_said(filling):
    filling.disk["free_bytes"] = 15_001  # 15 hours, below the high watermark
    scan_all()
    assert standing("disk-filling") == []
    filling.disk["free_bytes"] = 15_001
    filling.arrivals = {"bytes_a_day": 48_000}  # 7.5 hours, 9 with what may go
    scan_all()
    (alarm,) = standing("disk-filling")
    assert (alarm.subject, alarm.level) == ("CT", "warning")
    assert "only 3.0 kB may be evicted: 15.0 kB are left, full at" in alarm.text
    filling.arrivals = {"bytes_a_day": 24_000}
    scan_all()
    assert standing("disk-filling") == []


def test_the_reserve_is_no_space(filling):
    filling.disk |= {"free_bytes": 40_000, "reserve_bytes": 30_000}  # 10 hours, 13 with what may go
    scan_all()
    assert standing("disk-filling") == []
    filling.disk |= {"free_bytes": 38_000}
    scan_all()
    assert len(standing("disk-filling")) == 1


@pytest.mark.parametrize(
    ("free_bytes", "arrivals", "level"),
    [
        (14_000, {}, "warning"),  # nothing comes: it stays as it is
        (14_000, {"bytes_a_day": 24_000}, "warning"),  # 14 hours are left
        (11_000, {"bytes_a_day": 24_000}, "critical"),  # 11 hours
        (0, {}, "critical"),  # only the reserve is left
    ],
)
def test_a_disk_above_its_mark_of_which_nothing_may_go_is_critical_once_it_is_full_within_hours(
    filling, free_bytes, arrivals, level
):
    filling.facts[STUDY] = {"held": True}
    filling.changed.append(STUDY)
    filling.disk["free_bytes"] = free_bytes
    filling.arrivals = arrivals
    scan_all()
    (alarm,) = standing("disk-filling")
    assert alarm.level == level and "nothing may be evicted" in alarm.text


def test_one_that_is_full_within_hours_at_last_becomes_critical(filling):
    filling.facts[STUDY] = {"held": True}
    filling.changed.append(STUDY)
    for free_bytes, level in ((14_000, "warning"), (11_000, "critical"), (14_000, "warning")):
        filling.disk["free_bytes"] = free_bytes
        scan_all()
        (alarm,) = standing("disk-filling")
        assert alarm.level == level
    assert Alarm.objects.count() == 1


def test_a_list_that_nobody_approves_while_the_disk_fills_is_said(filling, archive):
    archive(evict_approval=True)
    filling.disk["free_bytes"] = 11_000  # 11 hours, 14 with what may go
    scan_all()
    (alarm,) = standing("disk-filling")
    assert "its eviction list waits for approval" in alarm.text
    evictions.approve(EvictionList.objects.get().id, "it")
    scan_all()
    assert standing("disk-filling") == []


def test_a_node_that_is_silent_for_long_is_said_until_it_answers(head, vault, archive):
    archive(nodes={"CT": head.url, "RF": "http://127.0.0.1:1"})
    scan_all()
    assert standing("node-unreachable") == []
    silent = NodeState.objects.filter(name="RF")
    silent.update(silent_since=timezone.now() - timedelta(seconds=1801))
    scan_all()
    assert [alarm.subject for alarm in standing("node-unreachable")] == ["RF"]
    archive(nodes={"CT": head.url})
    scan_all()
    assert standing("node-unreachable") == []


def test_a_node_that_answers_begins_to_be_silent_anew(head, vault, archive):
    url = head.url
    archive(nodes={"CT": "http://127.0.0.1:1"})
    scan_all()
    assert NodeState.objects.get().silent_since is not None
    archive(nodes={"CT": url})
    scan_all()
    assert NodeState.objects.get().silent_since is None


def test_a_vault_that_is_gone_is_critical_where_it_is_required(head, vault, archive, tmp_path):
    there = tmp_path / "vault"
    there.rename(tmp_path / "gone")
    scan_all()
    (alarm,) = standing("vault-missing")
    assert (alarm.subject, alarm.level) == ("vault-1", "critical")
    (tmp_path / "gone").rename(there)
    scan_all()
    assert standing("vault-missing") == []


def test_failed_jobs_are_one_alarm_until_they_are_tried_again(head, vault):
    run_job("recall", "9.8")
    run_job("recall", "9.9")
    scan_all()
    (alarm,) = standing("jobs-failed")
    assert alarm.subject == "recall CT"
    assert alarm.text.startswith("recall CT: 2 recall jobs failed: job ")
    Job.objects.update(state="queued")
    scan_all()
    assert standing("jobs-failed") == []


def test_a_failure_that_a_later_job_mended_or_that_is_old_is_no_alarm(head, vault):
    run_job("recall", "9.9")
    Job.objects.create(kind="recall", node="CT", study_uid="9.9", state="done", requested_by="x")
    run_job("recall", "9.8")
    Job.objects.filter(study_uid="9.8").update(updated_at=timezone.now() - timedelta(days=2))
    run_job("evict")  # a node that keeps what is in use is normal life
    scan_all()
    assert standing("jobs-failed") == []


def test_copies_that_are_behind_are_said(today, vault):
    today.arrive(STUDY, "1.2.3.1", unlike(1), ago_s=23 * 3600)
    scan_all()
    assert standing("copies-behind") == []
    today.studies[STUDY].last_arrival_at -= timedelta(hours=2)
    today.changed.append(STUDY)
    scan_all()
    assert [alarm.subject for alarm in standing("copies-behind")] == ["CT"]
    run_all()
    scan_all()
    assert standing("copies-behind") == []


def test_a_study_without_any_good_copy_is_shouted_about(head, vault):
    run_job("copy")
    scan_all()
    mark_bad(Copy.objects.get(), "a bit flipped")
    scan_all()
    assert standing("no-good-copy") == []  # the node has it, and it is copied again
    StudyFacts.objects.update(online=2)
    head.calls.clear()
    told = head.studies[STUDY].instances["1.2.3.0"]
    told.online = False
    scan_all()
    (alarm,) = standing("no-good-copy")
    assert (alarm.subject, alarm.level) == (STUDY, "critical")
    Copy.objects.update(bad_since=None)
    scan_all()
    assert standing("no-good-copy") == []
