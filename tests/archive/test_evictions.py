"""Lists of what shall go: printed, decided once, judged again, overtaken when they are stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from archive_node.models import AuditLine, EvictionList, Hold, Job, NodePolicy, Rule, StudyFacts
from archive_node.policy import evictions, holds, relief
from archive_node.policy.scan import scan_all
from pacs_common import errors
from tests.archive.conftest import run_job
from tests.archive.test_scan import fill, jobs, run_all

pytestmark = pytest.mark.slow


@pytest.fixture
def full(node, vault, archive):
    """A node with five proven studies of 3000 bytes, of which two must go; people approve."""
    archive(evict_approval=True)
    fill(node, 5)
    scan_all()
    run_all()
    node.disk |= {"total_bytes": 100_000, "free_bytes": 14_000}  # 86 %: 6 kB above 80 %
    return node


def lists() -> list[EvictionList]:
    return list(EvictionList.objects.order_by("id"))


def listed(row: EvictionList) -> list[str]:
    return list(row.studies.order_by("id").values_list("study_uid", flat=True))


def states() -> list[str]:
    return [row.state for row in lists()]


def test_a_list_is_printed_and_waits_for_a_person(full):
    scan_all()
    scan_all()
    (row,) = lists()
    assert (row.state, row.wanted_bytes) == ("proposed", 6000)
    assert listed(row) == ["7.0", "7.1"]
    assert {study.why for study in row.studies.all()} == {"the longest unused"}
    assert "86.0% full" in row.why
    assert jobs("evict") == []


def test_an_approved_list_evicts_what_it_names_once(full):
    scan_all()
    (row,) = lists()
    evictions.approve(row.id, "archivist")
    assert [job.study_uid for job in jobs("evict", requested_by="archivist")] == ["7.0", "7.1"]
    assert [study.job.study_uid for study in row.studies.order_by("id")] == ["7.0", "7.1"]
    with pytest.raises(errors.Conflict, match="approved already"):
        evictions.approve(row.id, "somebody else")
    run_all()
    assert full.online("7.0") == full.online("7.1") == {} and full.online("7.2")
    assert AuditLine.objects.filter(kind="list-approved", by="archivist").count() == 1


def test_a_refused_list_evicts_nothing_and_is_not_proposed_again_at_once(full):
    scan_all()
    (row,) = lists()
    evictions.refuse(row.id, "archivist")
    scan_all()
    assert states() == ["refused"]
    with pytest.raises(errors.Conflict):
        evictions.approve(row.id, "archivist")
    assert jobs("evict") == []
    EvictionList.objects.update(decided_at=timezone.now() - timedelta(hours=25))
    scan_all()
    assert states() == ["refused", "proposed"]


def test_a_list_is_overtaken_where_another_would_be_made_now(full):
    full.disk["free_bytes"] = 14_900
    scan_all()
    full.disk["free_bytes"] = 14_100  # more is wanted, but the same studies suffice
    scan_all()
    assert states() == ["proposed"]
    full.disk["free_bytes"] = 10_000
    scan_all()
    assert states() == ["overtaken", "proposed"]
    assert len(listed(lists()[1])) == 4
    with pytest.raises(errors.Conflict, match="overtaken"):
        evictions.approve(lists()[0].id, "archivist")


def test_a_list_of_which_nothing_is_wanted_any_more_is_overtaken(full):
    scan_all()
    full.disk["free_bytes"] = 50_000
    scan_all()
    assert states() == ["overtaken"]


def test_what_was_held_read_or_changed_since_it_was_listed_stays(full):
    scan_all()
    (row,) = lists()
    holds.hold("CT", "7.0", "legal", "a case", "it")
    evictions.approve(row.id, "archivist")
    assert [job.study_uid for job in jobs("evict")] == ["7.1"]
    stays = row.studies.get(study_uid="7.0")
    assert stays.job is None and stays.why == "stays: held: legal (a case), by it"


def test_without_approval_a_list_is_made_and_used_by_the_rule(full, archive):
    archive(evict_approval=False)
    scan_all()
    (row,) = lists()
    assert (row.state, row.decided_by) == ("approved", "rule")
    assert [job.study_uid for job in jobs("evict", requested_by="rule")] == ["7.0", "7.1"]
    scan_all()  # what is on its way out counts already
    assert len(lists()) == 1


def test_one_node_may_need_approval_where_others_do_not(full, archive):
    archive(evict_approval=False)
    NodePolicy.objects.create(name="CT", approval=True)
    scan_all()
    assert states() == ["proposed"]


def test_a_node_has_watermarks_and_a_least_age_of_its_own(full):
    policy = NodePolicy.objects.create(name="CT", high_watermark=0.9, low_watermark=0.5)
    scan_all()
    assert lists() == []
    policy.high_watermark = 0.8
    policy.least_age_days = 1
    policy.save()
    scan_all()
    assert lists() == []  # all came today
    policy.least_age_days = 0
    policy.save()
    scan_all()
    assert len(listed(lists()[0])) == 5


def test_what_is_due_by_age_goes_first_and_counts_for_the_space(full, archive):
    archive(evict_after_days=30, evict_approval=True)
    full.studies["7.4"].last_arrival_at = datetime.now(UTC) - timedelta(days=31)
    full.studies["7.4"].last_access_at = datetime.now(UTC) - timedelta(days=30.5)
    scan_all()
    (row,) = lists()
    reasons = list(row.studies.order_by("id").values_list("study_uid", "why"))
    assert reasons == [("7.4", "unused for 30 days"), ("7.0", "the longest unused")]


def test_a_rule_evicts_what_it_speaks_of_and_nothing_else(full, archive):
    full.disk["free_bytes"] = 90_000
    Rule.objects.create(name="skulls", action="evict", conditions={"description": "CRANE"})
    Rule.objects.create(name="off", action="evict", conditions={}, enabled=False)
    scan_all()
    assert len(listed(lists()[0])) == 5
    Rule.objects.update(conditions={"description": "thorax"})
    scan_all()
    assert states() == ["overtaken"]


@pytest.mark.parametrize("action", ["hold", "recall"])
def test_what_a_rule_keeps_is_not_listed_for_space(full, action):
    Rule.objects.create(name="keep", action=action, conditions={"modalities": ["CT"]})
    scan_all()
    assert lists() == []


def test_more_than_a_list_holds_is_left_to_the_next(full, archive, monkeypatch):
    monkeypatch.setattr(evictions, "MOST_STUDIES", 1)
    archive(evict_approval=False)
    scan_all()
    scan_all()
    scan_all()
    assert [job.study_uid for job in jobs("evict")] == ["7.0", "7.1"]


def test_a_list_that_a_killed_worker_left_proposed_is_made_anew(full, archive):
    scan_all()
    archive(evict_approval=False)
    scan_all()
    assert states() == ["overtaken", "approved"]


def test_the_command_prints_the_list_and_makes_none(full):
    scan_all()
    EvictionList.objects.all().delete()
    told = StringIO()
    call_command("plan", "CT", stdout=told)
    lines = told.getvalue().splitlines()
    assert lines[0].startswith("7.0  1 instances  3000 bytes  last used ")
    assert lines[-1].startswith("2 studies, 6000 bytes, of 6000 wanted: the disk is 86.0% full")
    assert lists() == [] and jobs("evict") == []
    with pytest.raises(CommandError, match="no node is called"):
        call_command("plan", "XX")


def test_a_recall_that_waits_for_space_makes_room_and_is_woken(full, archive):
    archive(evict_approval=False)
    full.disk["free_bytes"] = 90_000
    run_job("evict", "7.4")
    full.disk["free_bytes"] = 2_000
    NodePolicy.objects.create(name="CT", high_watermark=1, low_watermark=1)
    job = Job.objects.create(
        kind="recall", node="CT", study_uid="7.4", state="waiting", waits_for="space on CT",
        requested_by="dr who",
    )  # fmt: skip
    StudyFacts.objects.filter(study_uid="7.4").update(online_bytes=0)
    scan_all()
    assert listed(lists()[0]) == ["7.0"]
    assert lists()[0].why == "space for a recall"
    job.refresh_from_db()
    assert job.state == "waiting"
    full.disk["free_bytes"] = 5_000
    scan_all()
    job.refresh_from_db()
    assert (job.state, job.waits_for) == ("queued", "")


def test_room_is_made_for_who_asks(full, archive):
    archive(evict_approval=False)
    full.disk["free_bytes"] = 50_000
    scan_all()
    assert relief.make_room("CT", 50_000)
    assert lists() == []
    assert not relief.make_room("CT", 53_500)
    assert listed(lists()[0]) == ["7.0", "7.1"]
    assert not relief.make_room("XX", 1)


def test_a_hold_that_was_released_holds_no_more(full):
    made = holds.hold("CT", "7.0", "legal", "", "it")
    scan_all()
    assert listed(lists()[0]) == ["7.1", "7.2"]
    holds.release(made.id, "it")
    assert Hold.objects.get().released_by == "it"
    scan_all()
    assert listed(lists()[1]) == ["7.0", "7.1"]


def test_what_is_proven_later_goes_until_the_low_mark_is_reached(full):
    scan_all()
    full.disk |= {"free_bytes": 17_000}  # 83 %: between the marks, some of it has gone
    EvictionList.objects.all().delete()
    scan_all()
    assert listed(lists()[0]) == ["7.0"]
    EvictionList.objects.all().delete()
    full.disk |= {"free_bytes": 20_000}  # 80 %
    scan_all()
    full.disk |= {"free_bytes": 17_000}
    scan_all()
    assert lists() == []
