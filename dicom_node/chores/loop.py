"""What a node does by itself: digests, forwarding, commitment, tidying; none waits for another."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable
from functools import partial

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from dicom_node.audit import trail
from dicom_node.chores import digests, renditions
from dicom_node.chores.commitments import Commitments
from dicom_node.chores.forwarding import Forwarding
from dicom_node.chores.lanes import GoesOn, Lanes
from dicom_node.commitment import queue as commitments
from dicom_node.config import CONFIG
from dicom_node.custody import correct, quarantine, reject, reservations
from dicom_node.forwarding import queue as forwards
from dicom_node.forwarding import routing
from dicom_node.index import journaled
from dicom_node.models import UsedTicket
from dicom_node.store.journal import Journal
from dicom_node.store.layout import Layout

LOG = logging.getLogger(__name__)
IDLE_S = 0.5
TIDY_EVERY_S = 60.0
PEERS_AT_ONCE = 8
AskedToStop = Callable[[float], bool]


def run(layout: Layout, asked_to_stop: AskedToStop) -> None:
    """Do chores until `asked_to_stop(wait_s)` says so; a database that is away is waited for.

    One process a node does chores; another one waits until it is gone.
    """
    lock = _locked(layout, asked_to_stop)
    if lock is None:
        return
    if CONFIG.commit_requires_copies < 2:
        LOG.warning("storage commitment vouches for one copy alone: PACS_COMMIT_REQUIRES_COPIES=1")
    lanes = Lanes(send=CONFIG.forward_threads, commitment=PEERS_AT_ONCE)
    try:
        _look_around(layout, lanes, asked_to_stop)
    finally:
        lanes.stop()
        os.close(lock)


def _look_around(layout: Layout, lanes: Lanes, asked_to_stop: AskedToStop) -> None:
    """Start what is due, round after round; the work itself is done in the lanes."""
    forwarding, commitment = Forwarding(layout, lanes), Commitments(lanes)
    is_reclaimed, next_tidying = False, time.monotonic()
    compute = partial(digests.compute_all, layout)
    while not asked_to_stop(IDLE_S):
        try:
            if not is_reclaimed:
                _reclaim()
                is_reclaimed = True
            if digests.waits():
                lanes.start("digests", "", compute, gives_way=True)
            if renditions.due().exists():
                lanes.start("renditions", "", renditions.prepare_all, gives_way=True)
            forwarding.look()
            commitment.look()
            if time.monotonic() >= next_tidying:
                lanes.start("tidying", "", lambda goes_on: _tidy(layout, goes_on))
                next_tidying = time.monotonic() + TIDY_EVERY_S
        except DatabaseError as error:
            LOG.error("the index does not answer: %s", error)
        close_old_connections()


def _reclaim() -> None:
    """Take up what a process that was killed had under way: the lock says that it is gone."""
    forwards.reclaim()
    commitments.reclaim()


def _tidy(layout: Layout, goes_on: GoesOn) -> None:
    UsedTicket.objects.filter(expires_at__lt=timezone.now()).delete()
    reservations.sweep()
    forwards.forget_settled()
    commitments.forget_settled()
    routing.note_routed(layout)
    reject.settle_interrupted(layout)
    correct.settle_interrupted(layout)
    quarantine.settle_interrupted(layout)
    journaled.look_through(Journal(layout.journal))
    trail.sweep(layout.audit, CONFIG.audit_days, timezone.now())


def _locked(layout: Layout, asked_to_stop: AskedToStop) -> int | None:
    """Return the lock of the node's one chores process, None where asked to stop before."""
    handle = os.open(layout.chores_lock, os.O_RDWR | os.O_CREAT, 0o640)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if asked_to_stop(IDLE_S):
                os.close(handle)
                return None
