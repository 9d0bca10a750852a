"""Transactions that outlive a power cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def durable_transaction() -> Iterator[None]:
    """A transaction that a power cut cannot undo: for rows that the start does not look at again.

    Arrivals do without, since their hours are compared with the disk at start.
    """
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        if is_sqlite:
            cursor.execute("PRAGMA synchronous=FULL")
        try:
            with transaction.atomic():
                if not is_sqlite:
                    cursor.execute("SET LOCAL synchronous_commit = on")
                yield
        finally:
            if is_sqlite:
                cursor.execute("PRAGMA synchronous=NORMAL")
