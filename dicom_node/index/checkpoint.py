"""The hour up to which the index is known to hold all that lies on disk (custody rule 3)."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from dicom_node.store.blobs import ensure_folder, sync_folder
from dicom_node.store.layout import Layout, hour_of

MARGIN = timedelta(hours=1)  # no transfer that began before it is still under way


def read(layout: Layout) -> str:
    """Return the hour of the last checkpoint, "" where there is none."""
    try:
        return layout.checkpoint.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def write(layout: Layout) -> None:
    """Make the index durable and note the hour; start-up looks at nothing older."""
    hour = hour_of(datetime.now(UTC) - MARGIN)
    flush()
    ensure_folder(layout.checkpoint.parent)
    fresh = layout.checkpoint.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as file:
        file.write(hour)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(layout.checkpoint)
    sync_folder(layout.checkpoint.parent)


def flush() -> None:
    """Sync what was committed: SQLite with synchronous=NORMAL syncs its log at a checkpoint."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = on")
        cursor.execute("SELECT pg_current_wal_flush_lsn(), txid_current()")
