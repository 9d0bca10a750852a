"""A recall waits for as long as it takes: no time-out loses what somebody asked for."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from archive_node.steps.work import StepAside
from archive_node.vault.base import MediumFailed, NeedsOperator, Thawing
from pacs_common import errors

LATER = timedelta(minutes=2)
_TOLD_APART = (NeedsOperator, Thawing, MediumFailed, errors.DiskFull)  # the runner knows these


def patient(error: errors.ArgensError, node: str) -> Exception:
    """Return StepAside where time alone may mend it (a node or a vault is away), or the error.

    Tries that count would end the job while a node is being repaired.
    """
    if not error.retriable or isinstance(error, _TOLD_APART):
        return error
    waits_for = f"{node}, which does not answer"
    if not isinstance(error, errors.PeerUnreachable):
        waits_for = str(error)
    return StepAside(waits_for, timezone.now() + LATER)
