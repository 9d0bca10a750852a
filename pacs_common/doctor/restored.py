"""What a backup left to do: a restore that was broken off, or no backup at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pacs_common.backup.restoring import MARK
from pacs_common.doctor.finding import Finding, ok, problem, warning
from pacs_common.measures import kept_backups

OLD_S = 36 * 3600.0


def backups(data_dir: Path, role: str) -> Iterator[Finding]:
    """Examine whether the role is backed up, and whole."""
    if (data_dir / MARK).exists():
        told = (
            f"the restore of {(data_dir / MARK).read_text(encoding='utf-8').strip()} was broken off"
        )
        yield problem("restore", told, f"run manage.py {role} restore again")
    at = kept_backups.last_at(data_dir)
    if at is None:
        todo = f"run manage.py {role} backup each night, by argens-backup@.timer (docs/backup.md)"
        yield warning("backup", "the role was never backed up", todo)
    elif time.time() - at > OLD_S:
        told = f"the last one is of {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
        yield warning("backup", told, "look why: journalctl -u 'argens-backup@*'")
    else:
        yield ok(
            "backup", f"the last one is of {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
        )
