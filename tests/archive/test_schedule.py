"""Windows and jobs: none starts outside its window, and what runs is parked when it ends."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from archive_node import time_zone
from archive_node.jobs import actions, dispatch, moves, progress, runner, states, turns
from archive_node.jobs.pace import Pace
from archive_node.models import Job, Window
from archive_node.steps.work import StepAside
from tests.archive.conftest import STUDY

pytestmark = pytest.mark.django_db(transaction=True)


def clock(hours: float) -> time:
    return (timezone.now() + timedelta(hours=hours)).time()


def draw(begins_h: float, ends_h: float, **fields: object) -> Window:
    """Draw a window, in hours from now."""
    return Window.objects.create(begins=clock(begins_h), ends=clock(ends_h), **fields)


@pytest.fixture
def job(node, archive, monkeypatch) -> Job:
    archive(time_zone=UTC)
    monkeypatch.setattr(states, "LOOK_ROUND_EVERY_S", 0.0)
    return dispatch.request("copy", "CT", STUDY, "rule")[0]


def test_a_job_starts_inside_its_window_alone(job):
    window = draw(2, 4)
    assert turns.claim_next() is None
    assert dispatch.send_due() == 0
    Window.objects.filter(id=window.id).update(begins=clock(-1))
    assert turns.claim_next().job_id == job.id


@pytest.mark.parametrize("about", [{"kind": "scrub"}, {"vault": "other"}, {"node": "RF"}])
def test_a_window_for_others_keeps_no_job(job, about):
    draw(2, 4, **about)
    assert turns.claim_next().job_id == job.id


@pytest.mark.parametrize("about", [{"kind": "copy"}, {"vault": "vault-1"}, {"node": "CT"}])
def test_a_window_may_speak_of_a_kind_a_vault_or_a_node(job, about):
    draw(2, 4, **about)
    recall, _ = dispatch.request("recall", "RF", STUDY, "x")
    assert turns.claim_next().job_id == recall.id
    assert turns.claim_next() is None


def test_a_window_that_is_put_aside_counts_for_nothing(job):
    draw(2, 4, enabled=False)
    assert turns.claim_next()


def test_an_urgent_job_starts_at_any_time_and_runs_on(job):
    draw(2, 4)
    actions.act("now", job.id, "archivist")
    lease = turns.claim_next()
    lease.advance(10)


def test_a_running_job_is_parked_until_its_window_opens_again(head, vault, job):
    window = draw(2, 4)
    assert runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, job.waits_for, job.attempts) == ("waiting", "its window", 0)
    begins = datetime.combine(job.due_at, window.begins, UTC)
    assert job.due_at == begins > timezone.now()
    assert moves.wake_due() == 0


def test_a_member_is_written_whole_before_its_job_is_parked(job):
    draw(2, 4)
    lease = states.claim(job.id)
    with lease.whole():
        lease.advance(10)
        lease.advance(10)
    with pytest.raises(StepAside) as stopped:
        lease.advance(10)
    assert stopped.value.waits_for == "its window"


def test_the_windows_are_read_anew_while_a_job_runs(job):
    lease = states.claim(job.id)
    lease.advance(10)
    draw(2, 4)
    with pytest.raises(StepAside):
        lease.advance(10)


def test_a_queued_job_tells_when_it_should_be_done_after_its_window_opened(job):
    draw(2, 4)
    now = timezone.now()
    Job.objects.create(
        kind="copy", node="CT", study_uid="9", requested_by="x", state="done",
        started_at=now - timedelta(seconds=60),
    )  # fmt: skip
    place = progress.places([job], now)[job.id]
    assert 2 * 3600 - 60 < place.expected_s <= 2 * 3600 + 61


def test_a_job_moves_no_more_bytes_than_its_window_allows(job, monkeypatch):
    draw(-1, 1, bytes_per_s=100)
    lease, rests = states.claim(job.id), []
    monkeypatch.setattr(lease, "_rest", rests.append)
    for _ in range(4):
        lease.advance(100_000)
    assert [round(rest_s, -3) for rest_s in rests] == [1000, 2000, 3000, 4000]


def test_a_job_that_rests_still_learns_that_it_was_taken_away(job):
    draw(-1, 1, bytes_per_s=1)
    lease = states.claim(job.id)
    actions.act("cancel", job.id, "archivist")
    with pytest.raises(states.LeaseLost):
        lease.keep()
    with pytest.raises(states.LeaseLost):
        lease.advance(10_000)  # would rest for hours


def test_the_pace_counts_the_time_that_the_work_itself_took():
    now = [0.0]
    pace = Pace(lambda: now[0])
    now[0] = 0.6
    assert pace.rest_s(100, 100) == pytest.approx(0.4)
    now[0] = 1.0
    assert pace.rest_s(100, 100) == pytest.approx(1.0)
    now[0] = 100.0  # what was not used then is not made up for now
    assert pace.rest_s(300, 100) == pytest.approx(2.0)


def test_a_zone_has_a_name_or_is_the_machines(tmp_path, monkeypatch):
    assert time_zone.called("Europe/Paris") == ZoneInfo("Europe/Paris")
    with pytest.raises(time_zone.NoSuchZone, match="no zone is called"):
        time_zone.called("Europe/../x")
    monkeypatch.setattr(time_zone, "MACHINE", tmp_path / "localtime")
    assert time_zone.of_this_machine() is UTC
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Paris")
    summer = datetime(2026, 7, 1, tzinfo=UTC).astimezone(time_zone.of_this_machine())
    assert summer.utcoffset() == timedelta(hours=2)
