"""Puts a backup back: everything is looked at before anything is touched."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pacs_common import kept_files
from pacs_common.backup import contents, manifest
from pacs_common.backup.making import Role
from pacs_common.backup.manifest import Manifest
from pacs_common.errors import BadInput, Conflict

MARK = "restoring"  # in the data folder while a restore is under way, or was broken off


@dataclass(frozen=True)
class Restored:
    """A backup that was put back: which, and what of the database stands beside the new one."""

    folder: Path
    manifest: Manifest
    aside: str


def chosen(source: Path, role: str, name: str) -> Path:
    """Return the backup that `source` is, or the newest of this role below it; or BadInput."""
    if (source / manifest.NAME).is_file():
        return source
    whole = list(manifest.whole_ones(source, role, name)) if source.is_dir() else []
    if not whole:
        raise BadInput(f"{source} is no backup, and holds none of {role} {name}")
    return whole[-1]


def checked(source: Path, role: Role, known_migrations: Collection[str]) -> tuple[Path, Manifest]:
    """Return a backup that fits this role and is what was backed up; raises BadInput, Conflict."""
    folder = chosen(source, role.role, role.name)
    found = manifest.read(folder)
    if (found.role, found.name) != (role.role, role.name):
        told = f"{found.role} {found.name}, not of {role.role} {role.name}"
        raise BadInput(f"{folder} is a backup of {told}")
    if found.engine != role.database.engine:
        told = f"of {found.engine}, and PACS_DATABASE_URL names {role.database.engine}"
        raise BadInput(f"the backup's database is {told}")
    newer = sorted(set(found.migrations) - set(known_migrations))
    if newer:
        raise BadInput(f"the backup is of a newer version than this: it has {newer[0]}")
    manifest.check(folder, found)
    for part, content in role.contents.items():
        for kept in found.of(part):
            source_file = folder / kept.path
            contents.require_fits(source_file, content.target(kept.path), content.back)
    return folder, found


def require_stopped(host: str, port: int) -> None:
    """Raise Conflict where somebody serves the role's port: it must be stopped first."""
    reachable = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        socket.create_connection((reachable, port), timeout=2).close()
    except OSError:
        return
    raise Conflict(f"something answers on {host}:{port}: stop the role first")


def require_empty(role: Role, folder: Path, *, replace: bool) -> None:
    """Raise Conflict where the database holds something, unless it may be replaced.

    A restore of the same backup that was broken off may go on.
    """
    mark = role.data_dir / MARK
    goes_on = mark.is_file() and mark.read_text(encoding="utf-8").strip() == folder.name
    if not replace and not goes_on and not role.database.is_empty():
        raise Conflict("the database is not empty: --replace WHY puts the backup in its place")


def restore(
    role: Role, folder: Path, found: Manifest, settle: Callable[[Restored], None]
) -> Restored:
    """Put database and files back, then let the role `settle` what is newer than the backup.

    Killed in the middle, the same restore is run again; until then the mark says so.
    """
    restored = Restored(folder, found, f".before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    mark = role.data_dir / MARK
    kept_files.replace(mark, f"{folder.name}\n".encode(), 0o640)
    role.database.put_back(folder / found.database, restored.aside)
    for part, content in role.contents.items():
        for kept in found.of(part):
            target = content.target(kept.path)
            contents.put_back(folder / kept.path, target, content.back, kept.mode)
    settle(restored)
    mark.unlink()
    manifest.sync(role.data_dir)
    return restored
