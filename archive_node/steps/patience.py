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
    is_node = isinstance(error, errors.PeerUnreachable)
    return StepAside(waits_for_node(node) if is_node else str(error), timezone.now() + LATER)


def waits_for_node(node: str) -> str:
    """Return what a recall waits for whose node is away: the scan that reaches it wakes it."""
    return f"{node}, which does not answer"
