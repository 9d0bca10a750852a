"""What the index is asked, as SQLite itself hears it: also what Django's cursor does not see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield the statements that this thread's connection is asked until the block ends."""
    connection.ensure_connection()
    heard: list[str] = []
    connection.connection.set_trace_callback(heard.append)
    try:
        yield heard
    finally:
        connection.connection.set_trace_callback(None)
