"""Asks every node what it has, keeps the answer, and makes the jobs that the rules want."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import DataError, IntegrityError
from django.utils import timezone

from archive_node import nodes
from archive_node.jobs import dispatch, moves
from archive_node.models import Job, NodeState
from archive_node.one_at_a_time import Busy, alone
from archive_node.policy import (
    applying,
    forecast,
    holds,
    priors,
    reading,
    relief,
    replaced,
    selection,
    watch,
)  # fmt: skip
from archive_node.policy.decided import rules_of
from archive_node.steps import staging
from archive_node.steps.patience import waits_for_node
from pacs_common import errors
from pacs_common.node_client import NodeClient
from pacs_common.uids import Uid

LOG = logging.getLogger(__name__)
# what reading, or keeping, an answer of another shape than the interface's raises
_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, DataError,
             IntegrityError)  # fmt: skip


def scan_all() -> None:
    """Scan every node; one that does not answer is noted and never stops the others.

    Where another process scans already, that is enough.
    """
    with suppress(Busy), alone("scan"):
        for name in nodes.names():
            _scan_noted(name)
        watch.watch_all(nodes.names(), timezone.now())
        staging.sweep(_open_jobs)


def scan_node(name: str, now: datetime) -> None:
    """Read one node's facts and recall requests; make the jobs that follow from them."""
    client = nodes.client(name, subject="scan")
    state, _ = NodeState.objects.get_or_create(name=name)
    holds.tell(client)  # so that the facts tell of them already
    reading.read(client, state, now)
    state.save()
    priors.recall_for_arrivals(name, reading.arrived(state, now))
    _recall_what_is_wanted(name, client, now)
    told = client.status()  # after the facts, so that nothing is evicted twice over
    disk, arrivals = told["disk"], told.get("arrivals") or {}
    forecast.note_day(name, disk, now)
    replaced.refill_where_wanted(name, told, now)
    apply_rules(name, disk, arrivals, now)
    moves.wake(waits_for_node(name))
    _note(name, reachable=True, error="", disk=disk, studies=forecast.studies_of(name),
          last_scan_at=now, silent_since=None)  # fmt: skip


def apply_rules(name: str, disk: dict[str, Any], arrivals: dict[str, Any], now: datetime) -> None:
    """Make the jobs and the list that the rules want of what is known of a node; raise alarms.

    Asks the database alone: this is what a scan costs beside a catalogue of any size.
    """
    asked = rules_of(name, now)
    selection.settle_proofs(name, asked.policy)
    applying.copy_what_is_quiet(name, asked)
    applying.recall_by_rules(name, disk, asked)
    relief.consider(name, disk, asked)
    amounts = forecast.amounts(name, asked)
    _note(name, amounts=amounts, arrivals=arrivals)
    watch.watch_disk(name, disk, asked.policy, now)
    watch.watch_copies(name, asked.policy, now)


def _scan_noted(name: str) -> None:
    try:
        scan_node(name, timezone.now())
    except errors.ArgensError as error:
        _note_failure(name, str(error))
    except _NONSENSE as error:
        _note_failure(name, f"{name} gave facts that cannot be read: {error!r}")


def _recall_what_is_wanted(name: str, client: NodeClient, now: datetime) -> None:
    resting = selection.resting(name, Job.Kind.RECALL, now)
    for wanted in client.recall_requests():
        study_uid = Uid.parse(wanted["study_uid"], "Study Instance UID")
        if study_uid not in resting:
            dispatch.request("recall", name, study_uid, wanted["requested_by"] or name)


def _open_jobs() -> set[int]:
    opened = Job.objects.filter(state__in=Job.OPEN)
    return set(opened.values_list("id", flat=True))


def _note_failure(name: str, why: str) -> None:
    LOG.warning("node not scanned: %s", why, extra={"node": name})
    _note(name, reachable=False, error=why[:500])
    silent = NodeState.objects.filter(name=name, silent_since=None)
    silent.update(silent_since=timezone.now())


def _note(name: str, **fields: Any) -> None:
    NodeState.objects.update_or_create(name=name, defaults=fields)
