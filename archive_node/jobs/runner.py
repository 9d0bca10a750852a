"""Runs one job: claims it, keeps its lease alive, walks its steps, settles it."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, connection

from archive_node.jobs import dispatch, states
from archive_node.jobs.fellows import Fellows
from archive_node.models import Job
from archive_node.steps import staging
from archive_node.steps.evacuate import evacuate
from archive_node.steps.migrate import migrate
from archive_node.steps.purge import purge
from archive_node.steps.recall import recall
from archive_node.steps.scrub import scrub
from archive_node.steps.verify import verify
from archive_node.steps.work import GaveWay, LeaseLost, StepAside
from pacs_common import errors
from pacs_common.logs import trace_id

LOG = logging.getLogger(__name__)
Step = Callable[[states.Lease], None]


def _repair(node: str, study_uid: str, vault: str) -> None:
    """Have a bad copy written anew."""
    dispatch.request(Job.Kind.COPY, node, study_uid, "repair", vault=vault)


def _recall(lease: states.Lease) -> None:
    with Fellows(_settle) as fellows:
        recall(lease, fellows, _repair)


STEPS: dict[str, tuple[Step, ...]] = {
    Job.Kind.COPY: (migrate, verify),
    Job.Kind.EVICT: (purge,),
    Job.Kind.RECALL: (_recall,),
    Job.Kind.SCRUB: (lambda lease: scrub(lease, _repair),),
    Job.Kind.EVACUATE: (lambda lease: evacuate(lease, _repair),),
}


def run(job_id: int) -> bool:
    """Run a job if it can be claimed; return whether it was."""
    lease = states.claim(job_id)
    if lease is None:
        return False
    trace = trace_id.set(f"job-{job_id}")
    about = {"job": job_id, "kind": lease.kind, "node": lease.node, "study": lease.study_uid}
    LOG.info("job started", extra=about | {"attempt": lease.attempts})
    try:
        with _kept_alive(lease):
            _walk(lease)
    except GaveWay:
        LOG.info("job gave way", extra=about)
    except LeaseLost:
        LOG.warning("job lost to another worker", extra=about)
    finally:
        trace_id.reset(trace)
    return True


def _walk(lease: states.Lease) -> None:
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
    except (errors.ArgensError, StepAside) as error:
        _settle(lease, error)
    except (OSError, DatabaseError) as error:
        _settle(lease, _translated(error))
    except Exception as error:  # the one edge: whatever went wrong, the job must say so
        LOG.exception("job broke")
        lease.fail(f"unexpected {type(error).__name__}: {error}")
    else:
        LOG.info("job done")


def _settle(lease: states.Lease, error: errors.ArgensError | StepAside) -> None:
    if isinstance(error, StepAside):
        lease.postpone(str(error))
        return
    LOG.warning("job did not succeed: %s", error, extra={"retriable": error.retriable})
    if error.retriable:
        lease.postpone(str(error))
    else:
        lease.fail(str(error))
        staging.clear(lease.job_id)


def _translated(error: OSError | DatabaseError) -> errors.ArgensError:
    if isinstance(error, DatabaseError):
        return errors.IndexUnavailable(f"the archive's database: {error}")
    kind = errors.DiskFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else errors.Unavailable
    return kind(f"{error.filename or 'the archive'}: {error.strerror or error}")


@contextmanager
def _kept_alive(lease: states.Lease) -> Iterator[None]:
    """Extend the lease from a thread, so that a long read or a wait for a drive keeps it."""
    stopped = threading.Event()
    thread = threading.Thread(target=_extend_until, args=(lease, stopped), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _extend_until(lease: states.Lease, stopped: threading.Event) -> None:
    try:
        while not stopped.wait(settings.ARCHIVE.lease_s / 3):
            try:
                lease.extend()
            except DatabaseError as error:
                LOG.warning("lease not extended: %s", error)
    except LeaseLost:
        pass  # the job's own thread learns it from check() or its next update
    finally:
        connection.close()
