"""What a node does by itself, round after round: digests, expired tickets."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from dicom_node.chores import digests
from dicom_node.models import UsedTicket
from dicom_node.store.layout import Layout

LOG = logging.getLogger(__name__)
IDLE_S = 0.5
TIDY_EVERY_S = 60.0


def run(layout: Layout, asked_to_stop: Callable[[float], bool]) -> None:
    """Do chores until `asked_to_stop(wait_s)` says so; a database that is away is waited for."""
    next_tidying, done = time.monotonic(), 1
    while not asked_to_stop(0.0 if done else IDLE_S):
        try:
            done = digests.compute(layout)
            if time.monotonic() >= next_tidying:
                UsedTicket.objects.filter(expires_at__lt=timezone.now()).delete()
                next_tidying = time.monotonic() + TIDY_EVERY_S
        except DatabaseError as error:
            LOG.error("the index does not answer: %s", error)
            done = 0
        close_old_connections()
