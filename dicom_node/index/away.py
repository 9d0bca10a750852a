"""The edge to a database that may be away: its faults become one error that can be answered."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection, connections

from pacs_common.errors import IndexUnavailable

LOG = logging.getLogger(__name__)


@contextmanager
def asking_the_index() -> Iterator[None]:
    """Raise IndexUnavailable for a database that fails; the next query connects anew."""
    try:
        yield
    except DatabaseError as error:
        LOG.error("the index does not answer: %s", error)
        connections.close_all()
        raise IndexUnavailable("the index does not answer: try again") from None


def reconnect_if_lost() -> bool:
    """Let this thread's next query connect anew where its connection is dead; True where it was."""
    is_lost = connection.connection is not None and not connection.is_usable()
    if is_lost:
        connection.close()
    return is_lost
