"""The hour up to which the index is known to hold all that lies on disk (custody rule 3).

Only the process that compared disk and index at its start may move it on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, close_old_connections, connection, transaction

from dicom_node.store.blobs import disk_errors, ensure_folder, sync_folder
from dicom_node.store.layout import Layout, hour_of, is_hour
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
EVERY_S = 60.0
MARGIN = timedelta(hours=1)  # no transfer that began before it is still under way


def read(layout: Layout) -> str:
    """Return the hour from which start-up compares, "" for all: never one that is not over.

    A clock that was ahead when the checkpoint was written would hide what arrives now.
    """
    try:
        noted = layout.checkpoint.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
    return min(noted, _latest()) if is_hour(noted) else ""


def keep(layout: Layout, asked_to_stop: Callable[[float], bool]) -> None:
    """Write a checkpoint now and then each minute until `asked_to_stop(wait_s)` says so."""
    wait_s = 0.0
    while not asked_to_stop(wait_s):
        try:
            write(layout)
        except (ArgensError, DatabaseError) as error:
            LOG.error("no checkpoint: %s", error)
        close_old_connections()
        wait_s = EVERY_S


def write(layout: Layout) -> None:
    """Note the hour once the index is durable; start-up looks at nothing older."""
    hour = _latest()
    if not flush():
        return  # the former checkpoint stays true
    ensure_folder(layout.checkpoint.parent)
    fresh = layout.checkpoint.with_suffix(".new")
    with disk_errors():
        with fresh.open("w", encoding="ascii") as file:
            file.write(hour)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(layout.checkpoint)
    sync_folder(layout.checkpoint.parent)


def forget(layout: Layout) -> None:
    """Let the next start compare everything: the index is about to be incomplete."""
    with disk_errors():
        layout.checkpoint.unlink(missing_ok=True)
    sync_folder(layout.checkpoint.parent)


def flush() -> bool:
    """Sync what was committed; False where a reader of old rows keeps SQLite from doing it.

    SQLite with synchronous=NORMAL syncs its log when it copies the log into the database.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            is_busy, frames, copied = cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return not is_busy and frames == copied
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = on")
        cursor.execute("SELECT pg_current_wal_flush_lsn(), txid_current()")
    return True


def _latest() -> str:
    return hour_of(datetime.now(UTC) - MARGIN)
