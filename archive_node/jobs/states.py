"""A job's states, and a claimed job: every effect is bound to the token of its claim.

docs/archive-jobs.md draws the states; the table of the moves between them is in `moves`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from archive_node import measures, nodes, trail
from archive_node.jobs import moves, schedule
from archive_node.jobs.moves import MAX_ATTEMPTS, MOVES, State, claimable
from archive_node.jobs.pace import Pace
from archive_node.models import Job
from archive_node.steps.work import LeaseLost, StepAside
from pacs_common.node_client import NodeClient
from pacs_common.sentences import say

__all__ = ["MAX_ATTEMPTS", "MOVES", "Lease", "State", "at_work_on", "claim", "claimable"]
LOOK_ROUND_EVERY_S = 5.0  # whether the window is still open
_PROGRESS_EVERY_S = 0.5
at_work_on: ContextVar[int | None] = ContextVar("at_work_on", default=None)


def claim(job_id: int) -> Lease | None:
    """Take a job; None where it is not due, ended, or another worker was first.

    One that is claimed by who is at work on another is taken along with that one: it says so.
    """
    leader = at_work_on.get()
    now = timezone.now()
    while True:
        job = Job.objects.filter(claimable(now), id=job_id).first()
        if job is None:
            return None
        fields = {
            "token": job.token + 1,
            "attempts": job.attempts + 1,
            "lease_until": _lease_end(),
            "started_at": now,
            "counting_since": now,
            "waits_for": f"job {leader}" if leader else "",
        }
        mine = Job.objects.filter(claimable(now), id=job_id, token=job.token)
        if moves.move("claim", mine, **fields) == 1:
            job.token, job.attempts = job.token + 1, job.attempts + 1
            return Lease(job)


class Lease:
    """A job that is this worker's until its lease expires or somebody takes it away."""

    def __init__(self, job: Job) -> None:
        self.job_id, self.kind, self.attempts = job.id, job.kind, job.attempts
        self.node, self.study_uid = job.node, job.study_uid
        self.vault, self.volume = job.vault, job.volume
        self._urgent, self._requested_by = job.urgent, job.requested_by
        self._token = job.token
        self._lost = threading.Event()
        self._extended_at = time.monotonic()
        self._instances = self._bytes = 0
        self._written_at = 0.0
        self._note = ""
        self._unbroken = False
        self._pace = Pace()
        self._bytes_per_s: int | None = None
        self._looked_at = float("-inf")

    @property
    def client(self) -> NodeClient:
        """The node, spoken to on behalf of this job."""
        return nodes.client(self.node, subject=f"job {self.job_id}")

    def check(self) -> None:
        """Raise LeaseLost where the job is no longer ours."""
        if self._lost.is_set():
            raise LeaseLost

    def extend(self) -> None:
        """Go on holding the job; raises LeaseLost."""
        self._update(lease_until=_lease_end())
        self._extended_at = time.monotonic()

    def keep(self) -> None:
        """Extend the lease where it is time, and see whether it was taken away; or LeaseLost."""
        if time.monotonic() - self._extended_at > settings.ARCHIVE.lease_s / 3:
            self.extend()
        elif not self._mine().exists():
            self._lose()

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """Run a block in one transaction that has an effect only while the job is ours."""
        with transaction.atomic():
            self.extend()
            yield

    def expect(self, instances: int, size_bytes: int) -> None:
        """Say how much there is to do, and begin to count from zero."""
        self._instances = self._bytes = 0
        self._update(
            instances_total=instances,
            bytes_total=size_bytes,
            instances_done=0,
            bytes_done=0,
            counting_since=timezone.now(),
        )

    def advance(self, size_bytes: int, instances: int = 1) -> None:
        """Count what has been done, at the pace of the window; raises LeaseLost or StepAside."""
        self.check()
        self._instances += instances
        self._bytes += size_bytes
        if time.monotonic() - self._written_at > _PROGRESS_EVERY_S:
            self._written_at = time.monotonic()
            self._update(**self._progress())
        self._look_round()
        if self._bytes_per_s:
            self._rest(self._pace.rest_s(size_bytes, self._bytes_per_s))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Let `advance` not raise StepAside within a block."""
        before, self._unbroken = self._unbroken, True
        try:
            yield
        finally:
            self._unbroken = before
            self._looked_at = float("-inf")  # what was put off is looked at now

    def note(self, text: str) -> None:
        """Keep a line for the operator with the job once it is done."""
        self._note = moves.one_line(text)

    def finish(self) -> None:
        """running -> done."""
        with transaction.atomic():
            self._move("finish", error=self._note, **self._progress())
            self._tell("job-done", self._note)
        self._count(State.DONE)

    def fail(self, reason: str) -> None:
        """running -> failed, with a line that says why."""
        with transaction.atomic():
            self._move("fail", error=moves.one_line(reason), **self._progress())
            self._tell("job-failed", moves.one_line(reason))
        self._count(State.FAILED)

    def _count(self, state: State) -> None:
        measures.ENDED.labels(self.kind, state).inc()
        measures.BYTES.labels(self.kind).inc(self._bytes)

    def postpone(self, reason: str) -> None:
        """running -> queued, due after a pause that grows; failed after the last attempt."""
        if self.attempts >= MAX_ATTEMPTS:
            self.fail(say("given-up", why=reason, attempts_count=self.attempts))
            return
        back_off_s = moves.BACK_OFF_S
        pause = timedelta(seconds=back_off_s[min(self.attempts, len(back_off_s)) - 1])
        self._move("postpone", error=moves.one_line(reason), due_at=timezone.now() + pause)

    def give_back(self, after_s: float = 0.0) -> None:
        """running -> queued, due in `after_s`, as if this attempt had not been made."""
        due_at = timezone.now() + timedelta(seconds=after_s)
        self._move("give_back", attempts=self.attempts - 1, due_at=due_at)
        self._lost.set()

    def park(self, waits_for: str, until: datetime | None = None, reason: str = "") -> None:
        """running -> waiting, until somebody says that it is there, or `until`; no attempt."""
        self._move(
            "park",
            attempts=self.attempts - 1,
            waits_for=waits_for[:200],
            error=moves.one_line(reason),
            due_at=until or timezone.now() + moves.LOOK_AGAIN,
        )

    def _look_round(self) -> None:
        """Read the windows again now and then; raises StepAside where the job may not go on."""
        if time.monotonic() - self._looked_at < LOOK_ROUND_EVERY_S:
            return
        self._looked_at = time.monotonic()
        now = timezone.now()
        permit = schedule.permit((self.kind, self.vault, self.node), now)
        self._bytes_per_s = permit.bytes_per_s
        if self._unbroken:
            return
        if not permit.is_open and not self._urgent:
            raise StepAside(schedule.WAITS_FOR_WINDOW, permit.until)

    def _rest(self, rest_s: float) -> None:
        if self._lost.wait(rest_s):
            raise LeaseLost

    def _tell(self, kind: str, why: str) -> None:
        """Put the outcome into the audit, in the transaction that makes it one."""
        about = {"job": self.job_id, "operation": self.kind, "node": self.node}
        where = {name: getattr(self, name) for name in ("vault", "volume") if getattr(self, name)}
        counts = self._progress() | {"attempts": self.attempts}
        told = about | where | counts | {"study_uid": self.study_uid, "why": why}
        trail.note(kind, self._requested_by, **told)

    def _progress(self) -> dict[str, int]:
        return {"instances_done": self._instances, "bytes_done": self._bytes}

    def _mine(self) -> QuerySet[Job]:
        return Job.objects.filter(id=self.job_id, token=self._token, state=State.RUNNING)

    def _move(self, name: str, **fields: Any) -> None:
        if name != "park":
            fields["waits_for"] = ""
        mine = Job.objects.filter(id=self.job_id, token=self._token)
        if moves.move(name, mine, lease_until=None, **fields) != 1:
            self._lose()

    def _update(self, **fields: Any) -> None:
        if self._mine().update(updated_at=timezone.now(), **fields) != 1:
            self._lose()

    def _lose(self) -> None:
        self._lost.set()
        raise LeaseLost


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.ARCHIVE.lease_s)
