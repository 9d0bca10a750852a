"""The hour up to which the index is known to hold all that lies on disk (custody rule 3).

Only the process that compared disk and index at its start may move it on.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import Error, close_old_connections, connection, transaction

from dicom_node.index.compare import KINDS, Report, catch_up
from dicom_node.store.blobs import disk_errors, ensure_folder, sync_folder
from dicom_node.store.layout import Layout, hour_of, is_hour
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
EVERY_S, WATCH_S = 60.0, 5.0
MARGIN = timedelta(hours=1)  # no transfer that began before it is still under way


def read(layout: Layout) -> str:
    """Return the hour up to which the index is whole, "" for none: never one that is not over.

    A clock that was ahead when the checkpoint was written would hide what arrives now.
    """
    try:
        noted = layout.checkpoint.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
    return min(noted, _latest()) if is_hour(noted) else ""


def start(layout: Layout) -> str:
    """Return the hour from which start-up compares, "" for all where older rows are all gone.

    The checkpoint outlives the loss of the index that it speaks of.
    """
    noted = read(layout)
    oldest = next(layout.hours(layout.objects), noted)
    if oldest < noted and not any(m._base_manager.filter(hour__lt=noted).exists() for m in KINDS):
        return ""
    return noted


def keep(
    layout: Layout,
    asked_to_stop: Callable[[float], bool],
    lost_a_process: Callable[[], bool] = lambda: False,
) -> None:
    """Write a checkpoint now and then each minute until `asked_to_stop(wait_s)` says so.

    An hour that it moves past is compared with the disk once more: a process may have died in
    mid-arrival, or the database gone away in mid-commit. The hours since are compared at once
    where `lost_a_process` tells (once for each) that a process of this node died, and where the
    database server was started anew: arrivals commit asynchronously, so its crash takes rows.
    """
    # The start has compared all that was there; but this may be a later process, after a death.
    wait_s, due, compared = 0.0, 0.0, read(layout) or _latest()
    is_urgent, known_start = False, ""
    while not asked_to_stop(wait_s):
        wait_s = WATCH_S
        try:
            started = _server_start()
            is_urgent |= lost_a_process() or bool(known_start and started != known_start)
            known_start = started
            if is_urgent or time.monotonic() >= due:
                due = time.monotonic() + EVERY_S
                compared = _move_on(layout, compared, is_urgent=is_urgent)
                is_urgent = False
        except (ArgensError, Error, OSError) as error:
            LOG.error("no checkpoint: %s", error)
        close_old_connections()


def _move_on(layout: Layout, compared: str, *, is_urgent: bool) -> str:
    """Write a checkpoint, after a comparison of the hours that it moves past; return its hour."""
    hour = _latest()
    if hour > compared or is_urgent:
        report = catch_up(layout, compared, "" if is_urgent else hour)
        if report != Report():
            LOG.warning("disk and index differed from %s on: %s", compared, report)
    write(layout, hour)
    return hour


def write(layout: Layout, hour: str = "") -> None:
    """Note an hour, or the last that is over, once the index is durable.

    Start-up looks at nothing older.
    """
    hour = hour or _latest()
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


def _server_start() -> str:
    """Return when the database server was started, "" for SQLite, which has none."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time()")
        return str(cursor.fetchone()[0])
