"""What becomes of a job, given what stopped it."""

from __future__ import annotations

import errno
import logging

from django.db import DatabaseError, transaction

from archive_node.jobs import mounts, moves
from archive_node.jobs.states import Lease
from archive_node.models import Job
from archive_node.steps import staging, suspicion
from archive_node.steps.work import LeaseLost, StepAside
from archive_node.vault.base import MediumFailed, NeedsOperator, Thawing
from pacs_common import errors
from pacs_common.sentences import say

LOG = logging.getLogger(__name__)
WAITS_FOR_THAW = "cold storage"


def settle(lease: Lease, error: Exception) -> None:
    """Let a job end, wait or be tried again; raises LeaseLost where it is no longer ours."""
    if isinstance(error, LeaseLost):
        raise error
    if isinstance(error, StepAside):
        _step_aside(lease, error)
    elif isinstance(error, errors.ArgensError):
        _explained(lease, error)
    elif isinstance(error, OSError | DatabaseError):
        _try_again(lease, _translated(error))
    else:  # the one edge: whatever went wrong, the job must say so
        LOG.error("job broke", exc_info=error)
        lease.fail(say("unexpected", error=type(error).__name__, why=error))


def _step_aside(lease: Lease, error: StepAside) -> None:
    LOG.info("job steps aside: %s", error)
    lease.park(error.waits_for, error.until)


def _explained(lease: Lease, error: errors.ArgensError) -> None:
    LOG.warning("job did not succeed: %s", error, extra={"retriable": error.retriable})
    if isinstance(error, NeedsOperator):
        with transaction.atomic():
            lease.park(moves.waits_for_volume(error.vault, error.label), reason=str(error))
            mounts.ask(error.vault, error.label)
    elif isinstance(error, Thawing):
        lease.park(WAITS_FOR_THAW, error.until, str(error))
    elif isinstance(error, errors.DiskFull) and lease.kind == Job.Kind.RECALL:
        lease.park(moves.waits_for_space(lease.node), reason=str(error))
    elif isinstance(error, MediumFailed):
        suspicion.suspect(error)
        lease.postpone(str(error))
    else:
        _try_again(lease, error)


def _try_again(lease: Lease, error: errors.ArgensError) -> None:
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
