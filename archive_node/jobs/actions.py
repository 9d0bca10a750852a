"""What an operator does with a job: each act is one conditional update and a line of the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from archive_node import trail
from archive_node.jobs import moves
from archive_node.models import Job
from pacs_common import errors

BATCH = 500
LOWEST, HIGHEST = -100, 100
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
    fields = _fields(action, priority)
    job = _found(job_id)
    with transaction.atomic():
        if action == "retry":
            _refuse_twin(job)
        if _moved(action, job_id, fields) != 1:
            job.refresh_from_db()
            raise errors.Conflict(f"job {job_id} is {job.state}: it cannot be {SAID[action]}")
        about = {"job": job.id, "operation": job.kind, "node": job.node, "vault": job.vault}
        more = {"volume": job.volume, "priority": priority if action == "priority" else None}
        told = {name: value for name, value in (about | more).items() if value not in ("", None)}
        trail.note(SAID[action], by, **told, study_uid=job.study_uid)
    job.refresh_from_db()
    return job


def act_on_many(
    action: str, job_ids: Iterable[int], by: str, priority: int | None = None
) -> tuple[list[int], list[dict[str, Any]]]:
    """Do an action with many jobs; return whose state allowed it, and why others were refused."""
    done: list[int] = []
    refused: list[dict[str, Any]] = []
    numbers = list(job_ids)
    for start in range(0, len(numbers), BATCH):
        with transaction.atomic():  # one commit for many: each act is still all or nothing
            for number in numbers[start : start + BATCH]:
                try:
                    act(action, number, by, priority)
                except (errors.Conflict, errors.NotFound) as error:
                    refused.append({"id": number, "reason": str(error)})
                else:
                    done.append(number)
    return done, refused


def _fields(action: str, priority: int | None) -> dict[str, Any]:
    if action not in moves.ACTIONS:
        raise errors.BadInput(f"an action is one of {', '.join(moves.ACTIONS)}")
    if action == "priority" and (priority is None or not LOWEST <= priority <= HIGHEST):
        raise errors.BadInput(f"a priority is a number from {LOWEST} to {HIGHEST}")
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "retry": lambda: {"attempts": 0, "error": "", "due_at": timezone.now()},
        "pause": _taken_away,
        "resume": lambda: {"due_at": timezone.now()},
        "cancel": _taken_away,
        "now": lambda: {"due_at": timezone.now(), "urgent": True, "waits_for": ""},
        "priority": lambda: {"priority": priority},
    }
    return made[action]()


def _moved(action: str, job_id: int, fields: dict[str, Any]) -> int:
    try:
        with transaction.atomic():
            return moves.move(action, Job.objects.filter(id=job_id), **fields)
    except IntegrityError:  # an open job for the same was made in this very moment
        raise errors.Conflict("another job does this already") from None


def _taken_away() -> dict[str, Any]:
    return {"token": F("token") + 1, "lease_until": None, "waits_for": ""}


def _refuse_twin(job: Job) -> None:
    twin = Job.objects.filter(
        kind=job.kind, node=job.node, study_uid=job.study_uid, vault=job.vault,
        volume=job.volume, state__in=Job.OPEN,
    ).first()  # fmt: skip
    if twin is not None:
        raise errors.Conflict(f"job {twin.id} does this already")


def _found(job_id: int) -> Job:
    found = Job.objects.filter(id=job_id).first()
    if found is None:
        raise errors.NotFound(f"there is no job {job_id}")
    return found
