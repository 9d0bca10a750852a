"""The one lock under which rows are added: a chain has one end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

CHAIN_LOCK = 0x4155444954  # "AUDIT"


@contextmanager
def one_writer() -> Iterator[None]:
    """Run a block as the only one that adds to the audit, in one transaction.

    SQLite's transactions are IMMEDIATE: the first statement holds the write lock. PostgreSQL
    has an advisory lock, held until the transaction's end.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])
        yield
