"""Runs one job: claims it, keeps its lease alive, walks its steps, settles it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, connection

from archive_node import measures
from archive_node.jobs import dispatch, states
from archive_node.jobs.fellows import Fellows
from archive_node.jobs.settling import settle
from archive_node.jobs.states import Lease, claim
from archive_node.jobs.turns import claim_next
from archive_node.models import Job
from archive_node.steps import staging
from archive_node.steps.evacuate import evacuate
from archive_node.steps.give_back import give_back
from archive_node.steps.migrate import migrate
from archive_node.steps.purge import purge
from archive_node.steps.recall import recall
from archive_node.steps.scrub import scrub
from archive_node.steps.verify import verify
from archive_node.steps.work import GaveWay, LeaseLost
from pacs_common.logs import trace_id

LOG = logging.getLogger(__name__)
Step = Callable[[Lease], None]
LOOK_EVERY_S = 1.0  # how soon a worker learns that its job was paused or cancelled


def _repair(node: str, study_uid: str, vault: str) -> None:
    """Have a bad copy written anew."""
    dispatch.request(Job.Kind.COPY, node, study_uid, "repair", vault=vault)


def _recall(lease: Lease) -> None:
    with Fellows(settle) as fellows:
        recall(lease, fellows, _repair)


STEPS: dict[str, tuple[Step, ...]] = {
    Job.Kind.COPY: (migrate, verify),
    Job.Kind.EVICT: (purge,),
    Job.Kind.RECALL: (_recall,),
    Job.Kind.SCRUB: (lambda lease: scrub(lease, _repair),),
    Job.Kind.EVACUATE: (lambda lease: evacuate(lease, _repair),),
    Job.Kind.RESTORE: (give_back,),
}


def run_next() -> bool:
    """Run the job whose turn it is; return whether there was one."""
    return _run(claim_next())


def run(job_id: int) -> bool:
    """Run a job, whose turn it may not be, if it can be claimed; return whether it was."""
    return _run(claim(job_id))


def _run(lease: Lease | None) -> bool:
    if lease is None:
        return False
    trace, at_work = trace_id.set(f"job-{lease.job_id}"), states.at_work_on.set(lease.job_id)
    about = {"job": lease.job_id, "kind": lease.kind, "node": lease.node, "study": lease.study_uid}
    LOG.info("job started", extra=about | {"attempt": lease.attempts})
    begun = time.perf_counter()
    try:
        with _kept_alive(lease):
            _walk(lease)
    except GaveWay:
        LOG.info("job gave way", extra=about)
    except LeaseLost:
        LOG.warning("job taken away, or lost to another worker", extra=about)
        _clear_if_ended(lease.job_id)
    finally:
        measures.TURNS.labels(lease.kind).observe(time.perf_counter() - begun)
        states.at_work_on.reset(at_work)
        trace_id.reset(trace)
    return True


def _walk(lease: Lease) -> None:
    try:
        if lease.attempts > states.MAX_ATTEMPTS:  # each time its worker died
            lease.fail(f"given up: {lease.attempts - 1} workers did not come back from it")
            return
        for step in STEPS[lease.kind]:
            step(lease)
        lease.finish()
        staging.clear(lease.job_id)
    except LeaseLost:
        raise
    except Exception as error:  # the one edge: it is settled by what it is
        settle(lease, error)
    else:
        LOG.info("job done")


@contextmanager
def _kept_alive(lease: Lease) -> Iterator[None]:
    """Extend the lease from a thread, so that a long read or a wait for a drive keeps it."""
    stopped = threading.Event()
    thread = threading.Thread(target=_keep_until, args=(lease, stopped), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _keep_until(lease: Lease, stopped: threading.Event) -> None:
    try:
        while not stopped.wait(min(LOOK_EVERY_S, settings.ARCHIVE.lease_s / 3)):
            try:
                lease.keep()
            except DatabaseError as error:
                LOG.warning("lease not extended: %s", error)
    except LeaseLost:
        pass  # the job's own thread learns it from check() or its next update
    finally:
        connection.close()


def _clear_if_ended(job_id: int) -> None:
    """Leave nothing behind of a job that was cancelled."""
    if not Job.objects.filter(id=job_id, state__in=Job.OPEN).exists():
        staging.clear(job_id)
