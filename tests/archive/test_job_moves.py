"""The states of a job: the page, the table and what really happens are one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from archive_node.jobs import actions, dispatch, moves, pruning, runner, states
from archive_node.models import AuditLine, Job, Plan
from archive_node.steps.work import LeaseLost
from pacs_common import errors
from tests.archive.conftest import STUDY

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "archive-jobs.md"
DRAWING = PAGE.parent / "images" / "jobs.svg"
SVG = "{http://www.w3.org/2000/svg}"
ALL = list(Job.State.values)


@pytest.fixture
def job(node) -> Job:
    return dispatch.request("copy", "CT", STUDY, "rule")[0]


def put(job: Job, state: str) -> Job:
    Job.objects.filter(id=job.id).update(state=state, lease_until=None)
    job.refresh_from_db()
    return job


def test_the_page_and_the_table_of_moves_are_one():
    rows = re.findall(r"^\| (\w+) \| ([\w, ]+) \| ([\w ]+) \| .+ \|$", PAGE.read_text(), re.M)
    shown = {
        name: (set(sources.split(", ")), None if target == "as it was" else target)
        for name, sources, target in rows
        if name != "move"
    }
    assert shown == {
        name: (set(sources), target) for name, (sources, target) in moves.MOVES.items()
    }
    assert states.MOVES is moves.MOVES


def arrows() -> Iterator[tuple[str, str, str, str]]:
    """Yield what is drawn: from, to, the moves as they are written beside it, the line."""
    for group in ElementTree.parse(DRAWING).iter(f"{SVG}g"):
        line, words = group.find(f"{SVG}path"), group.find(f"{SVG}text")
        yield group.attrib["data-from"], group.attrib["data-to"], words.text, line.attrib["d"]


def test_the_page_draws_every_move_that_changes_the_state_and_no_other():
    assert f"]({DRAWING.relative_to(PAGE.parent)})" in PAGE.read_text()
    drawn = [
        (source, target, name)
        for source, target, names, _ in arrows()
        for name in names.split(", ")
    ]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {
        (source, target, name)
        for name, (sources, target) in moves.MOVES.items()
        for source in sources
        if target is not None
    }


def test_each_arrow_leaves_the_box_of_one_state_and_ends_at_that_of_the_other():
    boxes = {
        box.attrib["id"]: [float(box.attrib[name]) for name in ("x", "y", "width", "height")]
        for box in ElementTree.parse(DRAWING).iter(f"{SVG}rect")
        if "id" in box.attrib
    }
    assert set(boxes) == set(ALL)
    for source, target, names, line in arrows():
        points = [float(number) for number in re.findall(r"[\d.]+", line)]
        assert not set(line) & set("HVhvmlcqz"), line
        for state, (x, y) in ((source, points[:2]), (target, points[-2:])):
            left, top, width, height = boxes[state]
            in_box = left <= x <= left + width and top <= y <= top + height
            inside = left < x < left + width and top < y < top + height
            assert in_box and not inside, f"{names} does not touch the edge of {state}"


def test_the_page_explains_every_state():
    rows = re.findall(r"^\| (\w+) \| [^|]+ \|$", PAGE.read_text(), re.M)
    assert set(ALL) <= set(rows)


@pytest.mark.parametrize("action", moves.ACTIONS)
@pytest.mark.parametrize("state", ALL)
def test_an_action_is_done_where_its_state_allows_it_and_nowhere_else(job, action, state):
    put(job, state)
    sources, target = moves.MOVES[action]
    if state in sources:
        done = actions.act(action, job.id, "archivist", priority=7)
        assert done.state == (target or state)
        assert AuditLine.objects.get().kind == actions.SAID[action]
        return
    with pytest.raises(errors.Conflict):
        actions.act(action, job.id, "archivist", priority=7)
    job.refresh_from_db()
    assert job.state == state
    assert not AuditLine.objects.exists()


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_a_running_job_that_is_taken_away_has_no_effect_any_more(job, action):
    lease = states.claim(job.id)
    actions.act(action, job.id, "archivist")
    for act in (lease.extend, lease.finish, lease.keep, lambda: lease.park("x")):
        with pytest.raises(LeaseLost):
            act()
    with pytest.raises(LeaseLost), lease.fenced():
        pytest.fail("the block must not run")


def cancelled_in_the_middle(head, archive, action: str) -> Job:
    head.delay_s = 0.3
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    thread = threading.Thread(target=lambda: (runner.run(job.id), connection.close()))
    thread.start()
    while head.called("GET /api/custody/studies/1.2.3/instances") < 2:
        threading.Event().wait(0.02)
    actions.act(action, job.id, "archivist")
    thread.join()
    job.refresh_from_db()
    return job


def test_a_job_that_is_cancelled_in_the_middle_leaves_nothing_behind(head, vault, archive):
    job = cancelled_in_the_middle(head, archive, "cancel")
    assert job.state == "cancelled"
    assert vault.find("CT/1.2.3/r3-1.tar") is None
    assert list(settings.ARCHIVE.staging_dir.glob("*")) == []


def test_a_job_that_is_paused_in_the_middle_goes_on_where_it_was(head, vault, archive):
    archive(member_bytes=4000)  # each instance is a part of its own
    job = cancelled_in_the_middle(head, archive, "pause")
    assert job.state == "paused"
    assert runner.run(job.id) is False
    asked = head.called("GET /api/custody/studies/1.2.3/instances")
    actions.act("resume", job.id, "archivist")
    assert runner.run(job.id)
    job.refresh_from_db()
    assert job.state == "done"
    assert head.called("GET /api/custody/studies/1.2.3/instances") < asked + 3


def test_a_worker_learns_soon_that_its_job_was_taken_away(job, archive):
    lease = states.claim(job.id)
    lease.keep()
    actions.act("pause", job.id, "archivist")
    with pytest.raises(LeaseLost):
        lease.keep()
    with pytest.raises(LeaseLost):
        lease.check()


def test_neither_parking_nor_giving_back_counts_as_an_attempt(job):
    for _ in range(3):
        states.claim(job.id).give_back()
        states.claim(job.id).park("space on CT")
        assert moves.wake("space on CT") == 1
    job.refresh_from_db()
    assert (job.attempts, job.state, job.waits_for) == (0, "queued", "")


def test_what_is_waited_for_wakes_those_who_wait_for_it_alone(job):
    other, _ = dispatch.request("recall", "CT", STUDY, "x")
    states.claim(job.id).park("space on CT")
    states.claim(other.id).park("space on RF")
    assert moves.wake("space on CT") == 1
    assert states.claim(job.id) and states.claim(other.id) is None


def test_a_waiting_job_looks_again_by_itself_at_last(job):
    states.claim(job.id).park("volume A00001 of vault-1")
    assert moves.wake_due() == 0
    job.refresh_from_db()
    assert timedelta(0) < job.due_at - timezone.now() <= moves.LOOK_AGAIN
    Job.objects.update(due_at=timezone.now())
    assert moves.wake_due() == 1
    assert states.claim(job.id)


def test_now_makes_a_job_urgent_and_due(job):
    states.claim(job.id).postpone("the node is away")
    done = actions.act("now", job.id, "archivist")
    assert (done.urgent, done.state) == (True, "queued")
    assert states.claim(job.id)


def test_a_priority_is_within_bounds(job):
    assert actions.act("priority", job.id, "archivist", 20).priority == 20
    for nonsense in (None, 101, -101):
        with pytest.raises(errors.BadInput):
            actions.act("priority", job.id, "archivist", nonsense)


def test_a_cancelled_job_is_tried_again_from_its_first_attempt(job):
    states.claim(job.id)
    actions.act("cancel", job.id, "archivist")
    again = actions.act("retry", job.id, "archivist")
    assert (again.state, again.attempts) == ("queued", 0)
    assert states.claim(job.id)


def test_actions_on_many_say_what_was_done_and_why_not(job):
    done_job, _ = dispatch.request("recall", "CT", STUDY, "x")
    put(done_job, "done")
    done, refused = actions.act_on_many("cancel", [job.id, done_job.id, 999], "archivist")
    assert done == [job.id]
    assert list(refused) == [done_job.id, 999]
    assert "is done" in str(refused[done_job.id]) and "no job 999" in str(refused[999])
    assert AuditLine.objects.count() == 1


def test_of_two_that_failed_for_the_same_thing_one_is_tried_again(job):
    put(job, "failed")
    twin, _ = dispatch.request("copy", "CT", STUDY, "rule")
    put(twin, "failed")
    done, refused = actions.act_on_many("retry", [job.id, twin.id], "archivist")
    assert done == [job.id]
    assert f"job {job.id} does this already" in str(refused[twin.id])


def test_a_twin_that_nobody_saw_is_refused_by_its_row_and_stops_no_other(job, monkeypatch):
    put(job, "failed")
    dispatch.request("copy", "CT", STUDY, "rule")
    other, _ = dispatch.request("recall", "CT", STUDY, "x")
    put(other, "failed")
    monkeypatch.setattr(actions, "_objection", lambda *about: None)  # as if it came a moment later
    done, refused = actions.act_on_many("retry", [job.id, other.id], "archivist")
    assert (done, list(refused)) == ([other.id], [job.id])
    assert [line.details["job"] for line in AuditLine.objects.all()] == [other.id]


def aged(state: str, days: float = 400, study: str = "9.9") -> Job:
    job = Job.objects.create(
        kind="evict", node="CT", study_uid=study, requested_by="x", state=state
    )
    Job.objects.filter(id=job.id).update(updated_at=timezone.now() - timedelta(days=days))
    return job


def test_what_ended_long_ago_is_removed_and_nothing_else(node):
    for state in ("done", "cancelled"):
        aged(state)
    kept = [aged("failed", study="1"), aged("paused", study="2"), aged("done", 300)]
    assert pruning.prune() == 2
    assert sorted(Job.objects.values_list("id", flat=True)) == [job.id for job in kept]


def test_what_failed_long_ago_is_removed_once_the_same_was_asked_for_again(node):
    failed, alone = aged("failed"), aged("failed", study="8.8")
    newer = aged("failed", 1)
    assert pruning.prune() == 1
    assert set(Job.objects.values_list("id", flat=True)) == {alone.id, newer.id}
    assert failed.id not in {alone.id, newer.id}


def test_a_job_with_a_younger_plan_is_not_removed(node):
    job, without = aged("done"), aged("done")
    old = Plan.objects.create(job=without, node="CT", study_uid="9.9", body={})
    Plan.objects.filter(id=old.id).update(created_at=timezone.now() - timedelta(days=380))
    Plan.objects.create(job=job, node="CT", study_uid="9.9", body={})
    assert pruning.prune() == 1
    assert Job.objects.get().id == job.id
