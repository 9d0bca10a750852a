"""The moves of a job between its states; each is one conditional update.

docs/archive-jobs.md draws them, and a test compares that page with this table.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from archive_node.models import Job

State = Job.State
AS_IT_WAS = None
MOVES: dict[str, tuple[set[State], State | None]] = {
    # a worker's
    "claim": ({State.QUEUED, State.RUNNING}, State.RUNNING),  # running: once its lease has expired
    "finish": ({State.RUNNING}, State.DONE),
    "fail": ({State.RUNNING}, State.FAILED),
    "postpone": ({State.RUNNING}, State.QUEUED),
    "give_back": ({State.RUNNING}, State.QUEUED),
    "park": ({State.RUNNING}, State.WAITING),
    # what it waited for is there, or may be
    "wake": ({State.WAITING}, State.QUEUED),
    # an operator's
    "retry": ({State.FAILED, State.CANCELLED}, State.QUEUED),
    "pause": ({State.QUEUED, State.RUNNING, State.WAITING}, State.PAUSED),
    "resume": ({State.PAUSED}, State.QUEUED),
    "cancel": ({State.QUEUED, State.RUNNING, State.WAITING, State.PAUSED}, State.CANCELLED),
    "now": ({State.QUEUED, State.WAITING}, State.QUEUED),
    "priority": ({State.QUEUED, State.WAITING, State.PAUSED}, AS_IT_WAS),
}
ACTIONS = ("retry", "pause", "resume", "cancel", "now", "priority")
MAX_ATTEMPTS = 5
BACK_OFF_S = (5, 30, 120, 600)
LOOK_AGAIN = timedelta(minutes=15)  # what a job waits for may be there without anybody's word
_LINE = 500


def actions_in(state: str) -> list[str]:
    """Return the operator's actions that a state allows."""
    return [action for action in ACTIONS if state in MOVES[action][0]]


def move(name: str, jobs: QuerySet[Job], **fields: Any) -> int:
    """Make a move with those of `jobs` whose state allows it; return how many made it."""
    sources, target = MOVES[name]
    if target is not AS_IT_WAS:
        fields["state"] = target
    return jobs.filter(state__in=sources).update(updated_at=timezone.now(), **fields)


def claimable(now: datetime) -> Q:
    """Return the condition under which a job may be claimed: due, or its worker fell silent."""
    return Q(state=State.QUEUED, due_at__lte=now) | Q(state=State.RUNNING, lease_until__lt=now)


def wake(waits_for: str) -> int:
    """Queue all jobs that wait for this; return how many."""
    waiting = Job.objects.filter(waits_for=waits_for[:200])
    return move("wake", waiting, waits_for="", due_at=timezone.now())


def wake_due() -> int:
    """Queue the jobs that have waited until the time that was foreseen; return how many.

    Those that wait for an operator, or for space, look again now and then, so that no word that
    was lost leaves one waiting for good.
    """
    return move("wake", Job.objects.filter(due_at__lte=timezone.now()), waits_for="")


def waits_for_volume(vault: str, label: str) -> str:
    """Return what a job waits for whose volume lies on the shelf."""
    return f"volume {label} of {vault}"


def waits_for_space(node: str) -> str:
    """Return what a recall waits for whose node has no room."""
    return f"space on {node}"


def one_line(text: str) -> str:
    """Return a text as one line that a row can hold."""
    return " ".join(text.split())[:_LINE]
