"""`manage.py ROLE backup DEST` and `... restore SRC`, as far as all roles do the same."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacs_common.backup import making, manifest, restoring
from pacs_common.backup.making import Role
from pacs_common.backup.restoring import Restored
from pacs_common.backup.setting import Backups
from pacs_common.errors import BadInput, Conflict

BACKUP_HELP = "Back up database, journal and secrets (guard it), while the role works."
RESTORE_HELP = "Put a backup back. Stop the role first."
WHY_CHARS = 200


@dataclass(frozen=True)
class Door:
    """Where a role listens, which tells whether it still runs."""

    host: str
    port: int


def add_backup(parser: argparse.ArgumentParser) -> None:
    """Declare what a backup is told."""
    parser.add_argument(
        "dest", type=Path, nargs="?", metavar="DEST", help="folder of the backups (PACS_BACKUP_DIR)"
    )
    parser.add_argument(
        "--keep",
        type=_at_least_one,
        metavar="N",
        help="remove all but the newest N of this role (all stay in DEST, else PACS_BACKUPS_KEPT)",
    )


def add_restore(parser: argparse.ArgumentParser) -> None:
    """Declare what a restore is told."""
    parser.add_argument(
        "src", type=Path, metavar="SRC", help="a backup, or the folder of backups: the newest"
    )
    parser.add_argument(
        "--replace", metavar="WHY", default="", help="put it in the place of what is there"
    )
    parser.add_argument("--check", action="store_true", help="look at everything, touch nothing")


def backup(role: Role, applied: Collection[str], settings: Backups, options: dict[str, Any]) -> str:
    """Make a backup and return what to tell; raises ArgensError."""
    if (role.data_dir / restoring.MARK).exists():
        raise Conflict(
            "a restore is under way or was broken off: there is nothing whole to back up"
        )
    dest: Path | None = options["dest"]
    keep = options["keep"] or (settings.backups_kept if dest is None else None)
    made = making.make(role, (dest or settings.backup_dir).absolute(), sorted(applied), keep)
    found = manifest.read(made)
    return f"{made}: {len(found.files)} files, {found.size_bytes} bytes; it holds secrets"


def restore(
    role: Role,
    door: Door,
    known: Collection[str],
    options: dict[str, Any],
    settle: Callable[[Restored], None],
) -> str:
    """Put a backup back and return what to tell; raises ArgensError, and then before any change."""
    why = options["replace"].strip()
    if len(why) > WHY_CHARS:
        raise BadInput(f"the reason is longer than {WHY_CHARS} characters")
    folder, found = restoring.checked(options["src"].absolute(), role, known)
    if options["check"]:
        return f"{folder} is whole and fits: {len(found.files)} files of {found.begun_at}"
    restoring.require_stopped(door.host, door.port)
    restoring.require_empty(role, folder, replace=bool(why))
    restoring.restore(role, folder, found, settle)
    return f"{folder} of {found.begun_at} is back"


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("N is 1 or more")
    return int(text)
