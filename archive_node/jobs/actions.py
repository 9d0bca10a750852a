"""What an operator does with a job: each act is one conditional update and a line of the audit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from archive_node import trail
from archive_node.jobs import moves
from archive_node.models import Job
from pacs_common import errors
from pacs_common.sentences import say

BATCH = 500
LOWEST, HIGHEST = -100, 100
_THING = ("kind", "node", "study_uid", "vault", "volume")  # of which one job is open at a time
Thing = tuple[str, ...]
Refused = dict[int, errors.ArgensError]
SAID = {
    "retry": "retried",
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
    "now": "hastened",
    "priority": "reprioritised",
}


def act(action: str, job_id: int, by: str, priority: int | None = None) -> Job:
    """Do an action of `moves.ACTIONS` with a job, for `by`; return the job as it is then.

    Pausing or cancelling a running job takes it from its worker, which stops without effect.
    Raises Conflict where its state does not allow it, BadInput or NotFound where it makes no
    sense.
    """
    done, refused = act_on_many(action, [job_id], by, priority)
    if not done:
        raise refused[job_id]
    return Job.objects.get(id=job_id)


def act_on_many(
    action: str, job_ids: Iterable[int], by: str, priority: int | None = None
) -> tuple[list[int], Refused]:
    """Do an action with many jobs; return whose state allowed it, and why each other's did not."""
    _refuse_nonsense(action, priority)
    done: list[int] = []
    refused: Refused = {}
    numbers = list(job_ids)
    for start in range(0, len(numbers), BATCH):
        done += _act_on_some(action, numbers[start : start + BATCH], by, priority, refused)
    return done, refused


def _act_on_some(
    action: str, job_ids: list[int], by: str, priority: int | None, refused: Refused
) -> list[int]:
    try:
        with transaction.atomic():
            return _act_together(action, job_ids, by, priority, refused)
    except IntegrityError:  # an open job for the same as one of them was made in this very moment
        if len(job_ids) == 1:
            refused[job_ids[0]] = errors.Conflict(say("job-twin-now"))
            return []
    halves = job_ids[: len(job_ids) // 2], job_ids[len(job_ids) // 2 :]
    return [
        job_id for half in halves for job_id in _act_on_some(action, half, by, priority, refused)
    ]


def _act_together(
    action: str, job_ids: list[int], by: str, priority: int | None, refused: Refused
) -> list[int]:
    """Act in one transaction: what is looked at here stays as it is until the move is made."""
    found = Job.objects.select_for_update().filter(id__in=job_ids).in_bulk()
    able: dict[int, Job] = {}
    again: dict[Thing, int] = {}  # what is to be tried again, and by which job
    for job_id in job_ids:
        error = _objection(action, job_id, found.get(job_id), again)
        if error is not None:
            refused[job_id] = error
            continue
        able[job_id] = found[job_id]
        again[_thing(found[job_id])] = job_id
    moves.move(action, Job.objects.filter(id__in=able), **_fields(action, priority))
    trail.note_all(SAID[action], by, [_told(job, action, priority) for job in able.values()])
    return list(able)


def _objection(
    action: str, job_id: int, job: Job | None, again: dict[Thing, int]
) -> errors.ArgensError | None:
    if job is None:
        return errors.NotFound(say("job-unknown", job=job_id))
    if job.state not in moves.MOVES[action][0]:
        told = {"job": job_id, "job_state": job.state, "job_act": SAID[action]}
        return errors.Conflict(say("job-in-state", **told))
    if action != "retry":
        return None
    same = dict(zip(_THING, _thing(job), strict=True))
    opened = Job.objects.filter(state__in=Job.OPEN, **same).values_list("id", flat=True).first()
    twin = opened or again.get(_thing(job))
    return errors.Conflict(say("job-twin", job=twin)) if twin else None


def _thing(job: Job) -> Thing:
    return tuple(getattr(job, name) for name in _THING)


def _told(job: Job, action: str, priority: int | None) -> dict[str, Any]:
    about = {"job": job.id, "operation": job.kind, "study_uid": job.study_uid}
    where = {name: getattr(job, name) for name in ("node", "vault", "volume")}
    told = about | {name: value for name, value in where.items() if value}
    return told | ({"priority": priority} if action == "priority" else {})


def _refuse_nonsense(action: str, priority: int | None) -> None:
    if action not in moves.ACTIONS:
        raise errors.BadInput(f"an action is one of {', '.join(moves.ACTIONS)}")
    if action == "priority" and (priority is None or not LOWEST <= priority <= HIGHEST):
        raise errors.BadInput(f"a priority is a number from {LOWEST} to {HIGHEST}")


def _fields(action: str, priority: int | None) -> dict[str, Any]:
    now = timezone.now()
    taken_away = {"token": F("token") + 1, "lease_until": None, "waits_for": ""}
    return {
        "retry": {"attempts": 0, "error": "", "due_at": now},
        "pause": taken_away,
        "resume": {"due_at": now},
        "cancel": taken_away,
        "now": {"due_at": now, "urgent": True, "waits_for": ""},
        "priority": {"priority": priority},
    }[action]
