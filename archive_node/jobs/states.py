r"""The states of a job and its moves; each move is one conditional update.

queued --claim--> running --finish--> done
   ^                 |  \---fail----> failed
   |--postpone-------|                  |
   |--give_back------|                  |
   |--retry-----------------------------'
running --claim, once its lease has expired--> running
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from archive_node import nodes, trail
from archive_node.models import Job
from archive_node.steps.work import LeaseLost
from pacs_common import errors
from pacs_common.node_client import NodeClient

State = Job.State
MOVES = {
    "claim": ({State.QUEUED, State.RUNNING}, State.RUNNING),
    "finish": ({State.RUNNING}, State.DONE),
    "fail": ({State.RUNNING}, State.FAILED),
    "postpone": ({State.RUNNING}, State.QUEUED),
    "give_back": ({State.RUNNING}, State.QUEUED),
    "retry": ({State.FAILED}, State.QUEUED),
}
MAX_ATTEMPTS = 5
BACK_OFF_S = (5, 30, 120, 600)
_PROGRESS_EVERY_S = 0.5
_LINE = 500


def claimable(now: datetime) -> Q:
    """Return the condition under which a job may be claimed: due, or its worker fell silent."""
    return Q(state=State.QUEUED, due_at__lte=now) | Q(state=State.RUNNING, lease_until__lt=now)


def claim(job_id: int) -> Lease | None:
    """Take a job; None where it is not due, ended, or another worker was first."""
    now = timezone.now()
    while True:
        job = Job.objects.filter(claimable(now), id=job_id).first()
        if job is None:
            return None
        taken = Job.objects.filter(claimable(now), id=job_id, token=job.token).update(
            state=State.RUNNING,
            token=job.token + 1,
            attempts=job.attempts + 1,
            lease_until=_lease_end(),
            updated_at=now,
        )
        if taken == 1:
            job.token, job.attempts = job.token + 1, job.attempts + 1
            return Lease(job)


def retry(job: Job, by: str) -> Job:
    """Queue a failed job again for `by`, at once; raises Conflict where it has not failed."""
    with transaction.atomic():
        twin = Job.objects.filter(
            kind=job.kind, node=job.node, study_uid=job.study_uid, vault=job.vault,
            volume=job.volume, state__in=Job.OPEN,
        ).first()  # fmt: skip
        if twin is not None:
            raise errors.Conflict(f"job {twin.id} does this already")
        now = timezone.now()
        moved = Job.objects.filter(id=job.id, state=State.FAILED).update(
            state=State.QUEUED, attempts=0, error="", due_at=now, updated_at=now
        )
        if moved != 1:
            raise errors.Conflict(f"job {job.id} has not failed")
        about = {"job": job.id, "operation": job.kind, "node": job.node}
        trail.note("retried", by, **about, study_uid=job.study_uid)
    job.refresh_from_db()
    return job


class Lease:
    """A claimed job: every effect is bound to the token of this claim."""

    def __init__(self, job: Job) -> None:
        self.job_id, self.kind, self.attempts = job.id, job.kind, job.attempts
        self.node, self.study_uid = job.node, job.study_uid
        self.vault, self.volume = job.vault, job.volume
        self._requested_by = job.requested_by
        self._token = job.token
        self._lost = threading.Event()
        self._instances = self._bytes = 0
        self._written_at = 0.0
        self._note = ""

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
            instances_total=instances, bytes_total=size_bytes, instances_done=0, bytes_done=0
        )

    def advance(self, size_bytes: int, instances: int = 1) -> None:
        """Count what has been done; raises LeaseLost where the job is no longer ours."""
        self.check()
        self._instances += instances
        self._bytes += size_bytes
        if time.monotonic() - self._written_at > _PROGRESS_EVERY_S:
            self._written_at = time.monotonic()
            self._update(**self._progress())

    def note(self, text: str) -> None:
        """Keep a line for the operator with the job once it is done."""
        self._note = _one_line(text)

    def finish(self) -> None:
        """running -> done."""
        with transaction.atomic():
            self._update(state=State.DONE, lease_until=None, error=self._note, **self._progress())
            self._tell("job-done", self._note)

    def fail(self, reason: str) -> None:
        """running -> failed, with a line that says why."""
        with transaction.atomic():
            self._update(
                state=State.FAILED, lease_until=None, error=_one_line(reason), **self._progress()
            )
            self._tell("job-failed", _one_line(reason))

    def postpone(self, reason: str) -> None:
        """running -> queued, due after a pause that grows; failed after the last attempt."""
        if self.attempts >= MAX_ATTEMPTS:
            self.fail(f"{reason} (given up after {self.attempts} attempts)")
            return
        pause = timedelta(seconds=BACK_OFF_S[min(self.attempts, len(BACK_OFF_S)) - 1])
        self._update(
            state=State.QUEUED,
            lease_until=None,
            error=_one_line(reason),
            due_at=timezone.now() + pause,
        )

    def give_back(self, after_s: float = 0.0) -> None:
        """running -> queued, due in `after_s`, as if this attempt had not been made."""
        self._update(
            state=State.QUEUED,
            lease_until=None,
            attempts=max(0, self.attempts - 1),
            due_at=timezone.now() + timedelta(seconds=after_s),
        )
        self._lost.set()

    def _tell(self, kind: str, why: str) -> None:
        """Put the outcome into the audit, in the transaction that makes it one."""
        about = {"job": self.job_id, "operation": self.kind, "node": self.node}
        counts = self._progress() | {"attempts": self.attempts}
        told = about | counts | {"study_uid": self.study_uid, "why": why}
        trail.note(kind, self._requested_by, **told)

    def _progress(self) -> dict[str, int]:
        return {"instances_done": self._instances, "bytes_done": self._bytes}

    def _update(self, **fields: Any) -> None:
        fields["updated_at"] = timezone.now()
        mine = Job.objects.filter(id=self.job_id, token=self._token, state=State.RUNNING)
        if mine.update(**fields) != 1:
            self._lost.set()
            raise LeaseLost


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.ARCHIVE.lease_s)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LINE]
