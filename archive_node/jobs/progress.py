"""How far jobs are, how fast they go, and when it is whose turn."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from archive_node.jobs import schedule, turns, windows
from archive_node.jobs.moves import State
from archive_node.jobs.windows import Span
from archive_node.models import Job

RECENT = 20  # done jobs of a kind that tell how long one takes
LOOK_AHEAD = 10_000  # places beyond are told as this one


@dataclass(frozen=True)
class Place:
    """A job's place in the queue: how many are ahead, and in how many seconds it may be done."""

    ahead: int = 0
    expected_s: int | None = None


def bytes_per_s(job: Job) -> int:
    """Return how fast a job goes, or went; 0 where that cannot be told."""
    since = job.counting_since if job.state == State.RUNNING else job.started_at
    if since is None or job.state not in {State.RUNNING, State.DONE}:
        return 0
    took_s = (job.updated_at - since).total_seconds()
    return int(job.bytes_done / took_s) if took_s > 0 else 0


def seconds_left(job: Job) -> int | None:
    """Return in how many seconds a running job has done the step at which it is; None: unknown."""
    rate = bytes_per_s(job)
    if job.state != State.RUNNING or not rate:
        return None
    return max(0, round((job.bytes_total - job.bytes_done) / rate))


def places(jobs: Iterable[Job], now: datetime) -> dict[int, Place]:
    """Return the places of those of `jobs` that are queued, by their numbers."""
    queued = {job.id: job for job in jobs if job.state == State.QUEUED}
    if not queued:
        return {}
    line = list(
        Job.objects.filter(state=State.QUEUED)
        .order_by(*turns.ORDER)
        .values_list("id", "kind")[:LOOK_AHEAD]
    )
    took_s = _usual_s({kind for _, kind in line} | {job.kind for job in queued.values()})
    drawn = schedule.spans()
    found, ahead_s = {job_id: Place(len(line)) for job_id in queued}, 0.0
    for ahead, (job_id, kind) in enumerate(line):
        if job_id in queued:
            starts_s = _starts_s(queued[job_id], ahead_s, drawn, now)
            found[job_id] = Place(ahead, _sum(starts_s, took_s.get(kind)))
        ahead_s += took_s.get(kind, 0.0) / settings.ARCHIVE.jobs_at_once
    return found


def _starts_s(job: Job, ahead_s: float, drawn: list[Span], now: datetime) -> float | None:
    """Return in how many seconds a job may start, None where no window ever opens for it."""
    starts_s = max(ahead_s, (job.due_at - now).total_seconds())
    about = (job.kind, job.vault, job.node)
    permit = windows.permit(drawn, about, now, settings.ARCHIVE.time_zone)
    if permit.is_open or job.urgent:
        return starts_s
    return max(starts_s, (permit.until - now).total_seconds()) if permit.until else None


def _sum(starts_s: float | None, own_s: float | None) -> int | None:
    return None if starts_s is None or own_s is None else round(starts_s + own_s)


def _usual_s(kinds: Collection[str]) -> dict[str, float]:
    """Return how long recent jobs of each kind took, in seconds; kinds without any are left out."""
    found = {}
    for kind in kinds:
        done = Job.objects.filter(kind=kind, state=State.DONE, started_at__isnull=False)
        spans = list(done.order_by("-id").values_list("started_at", "updated_at")[:RECENT])
        if spans:
            took = [(ended - began).total_seconds() for began, ended in spans]
            found[kind] = sum(took) / len(took)
    return found
