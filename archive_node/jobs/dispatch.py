"""Makes jobs and sends their ids to the workers; the rows alone are the queue."""

from __future__ import annotations

import logging
from functools import partial

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from archive_node import library
from archive_node.celery import RUN_JOB, app
from archive_node.jobs import turns
from archive_node.models import Job

LOG = logging.getLogger(__name__)
PRIORITIES = {
    Job.Kind.RECALL: 30,  # somebody waits for it
    Job.Kind.EVICT: 20,  # a full disk refuses images
    Job.Kind.RESTORE: 15,  # what it brings back is found by nobody until then
    Job.Kind.COPY: 10,
    Job.Kind.EVACUATE: 5,
    Job.Kind.SCRUB: 0,
}


def request(
    kind: str,
    node: str,
    study_uid: str,
    requested_by: str,
    *,
    vault: str = "",
    priority: int | None = None,
) -> tuple[Job, bool]:
    """Return the open job of this kind for this study, and whether it was made just now.

    A copy is made in `vault`, or in the first that is required. A new job is sent to the workers
    as soon as its row is committed; `priority` is that of its kind where none is given, and one
    that is open takes the higher of its own and this.
    """
    if kind == Job.Kind.COPY:
        vault = vault or library.required()[0]
    wanted = {"kind": kind, "node": node, "study_uid": study_uid, "vault": vault}
    return _opened(wanted, requested_by, PRIORITIES[kind] if priority is None else priority)


def request_for_volume(kind: str, vault: str, volume: str, requested_by: str) -> tuple[Job, bool]:
    """Return the open job of this kind for this volume, and whether it was made just now."""
    return _opened({"kind": kind, "vault": vault, "volume": volume}, requested_by, PRIORITIES[kind])


def request_for_node(kind: str, node: str, requested_by: str) -> tuple[Job, bool]:
    """Return the open job of this kind for all of a node, and whether it was made just now."""
    return _opened({"kind": kind, "node": node, "study_uid": ""}, requested_by, PRIORITIES[kind])


def _opened(wanted: dict[str, str], requested_by: str, priority: int) -> tuple[Job, bool]:
    opened = Job.objects.filter(state__in=Job.OPEN, **wanted)
    while True:
        job = opened.first()
        if job is not None:
            opened.filter(id=job.id, priority__lt=priority).update(priority=priority)
            return job, False
        try:
            with transaction.atomic():
                job = Job.objects.create(
                    requested_by=requested_by[:200], priority=priority, **wanted
                )
        except IntegrityError:
            continue  # another was first: the constraint keeps one open job
        transaction.on_commit(partial(send, job.id))
        return job, True


def send_due(limit: int | None = None) -> int:
    """Send word of the jobs that may start now, those that dead workers left among them.

    Returns how many were sent: no more than can run at once, since who ends one sends the next.
    Sending one twice is harmless: a message says that there is work, and a claim says whose it is.
    """
    jobs = turns.startable(timezone.now(), limit or settings.ARCHIVE.jobs_at_once)
    for job in jobs:
        send(job.id)
    return len(jobs)


def send(job_id: int) -> None:
    """Carry a job's id to the workers; where the broker is away, the next round carries it."""
    try:
        # a message that waited for two rounds has been sent again since: let it expire
        app.send_task(RUN_JOB, args=[job_id], expires=2 * settings.ARCHIVE.dispatch_s)
    except (OperationalError, OSError) as error:
        LOG.warning("job not sent: %s", error, extra={"job": job_id})
