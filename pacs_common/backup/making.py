"""Makes a backup: into a folder without a name yet, which gets its name when all is on disk."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pacs_common import VERSION
from pacs_common.backup import contents, manifest
from pacs_common.backup.contents import SECRET_MODE, Content
from pacs_common.backup.databases import Database
from pacs_common.backup.manifest import Kept, Manifest
from pacs_common.errors import BadInput, Conflict
from pacs_common.measures import kept_backups

DATABASE = "database"


@dataclass(frozen=True)
class Role:
    """A role as it is backed up; `before` is copied before the database, the rest after it.

    What is copied after it may know more than the database does, never less.
    """

    role: str
    name: str
    data_dir: Path
    database: Database
    before: Sequence[Content]
    after: Sequence[Content]

    @property
    def contents(self) -> dict[str, Content]:
        """All contents by their part."""
        return {content.part: content for content in (*self.before, *self.after)}


def make(role: Role, dest: Path, migrations: Sequence[str], keep: int | None = None) -> Path:
    """Return a new, whole backup below `dest`; older ones beyond `keep` of the role are removed.

    It is read again before it gets its name and any of those goes. Raises BadInput where `dest`
    cannot be written or gives back something else, Unavailable where the database does not answer.
    """
    try:
        dest.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(dest, manifest.prefix(role.role, role.name)):
            made = _made(role, dest, migrations)
            if keep is not None:
                prune(dest, role.role, role.name, keep)
    except OSError as error:
        raise BadInput(f"{error.filename or dest}: {error.strerror}") from None
    found = manifest.read(made)
    kept_backups.note(role.data_dir, found.began.timestamp(), found.size_bytes)
    return made


def verify(role: Role, folder: Path) -> None:
    """Raise BadInput or Unavailable unless the backup is what was written and can be read."""
    found = manifest.read(folder)
    manifest.check(folder, found)
    role.database.verify(folder / found.database)


def prune(dest: Path, role: str, name: str, keep: int) -> None:
    """Remove the oldest backups of a role, so that `keep` are left; each loses its name first."""
    whole = list(manifest.own_ones(dest, role, name))
    for folder in whole[: max(0, len(whole) - keep)]:
        going = folder.with_name(f".gone-{folder.name}")
        folder.rename(going)
        manifest.sync(dest)
        shutil.rmtree(going)


def _made(role: Role, dest: Path, migrations: Sequence[str]) -> Path:
    begins = manifest.prefix(role.role, role.name)
    for torn in [*manifest.named(dest, f".new-{begins}"), *manifest.named(dest, f".gone-{begins}")]:
        shutil.rmtree(torn)  # of a backup that was killed
    begun = datetime.now(UTC)
    final = dest / f"{begins}{begun:%Y%m%dT%H%M%S.%fZ}"
    fresh = dest / f".new-{final.name}"
    fresh.mkdir(mode=0o700)
    kept = [file for content in role.before for file in _copied(content, fresh)]
    kept.append(_dumped(role.database, fresh))
    kept += [file for content in role.after for file in _copied(content, fresh)]
    told = Manifest(
        role=role.role,
        name=role.name,
        version=VERSION,
        begun_at=begun.isoformat(),
        ended_at=datetime.now(UTC).isoformat(),
        database=role.database.file_name,
        engine=role.database.engine,
        migrations=sorted(migrations),
        files=kept,
    )
    _write(fresh / manifest.NAME, told.text())
    for folder in [path for path in fresh.rglob("*") if path.is_dir()]:
        manifest.sync(folder)
    manifest.sync(fresh)
    verify(role, fresh)
    fresh.rename(final)
    manifest.sync(dest)
    return final


def _copied(content: Content, folder: Path) -> Iterator[Kept]:
    for source, path in content.files():
        mode = source.stat().st_mode & 0o777
        contents.copy(source, folder / path, SECRET_MODE)
        yield _kept(folder, path, mode, content.part)


def _dumped(database: Database, folder: Path) -> Kept:
    target = folder / database.file_name
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE))
    database.dump(target)
    manifest.sync(target)
    return _kept(folder, database.file_name, SECRET_MODE, DATABASE)


def _kept(folder: Path, path: str, mode: int, part: str) -> Kept:
    file = folder / path
    return Kept(path, file.stat().st_size, manifest.sha256_of(file), mode, part)


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _alone_in(dest: Path, begins: str) -> Iterator[None]:
    handle = os.open(dest / f".{begins}lock", os.O_RDWR | os.O_CREAT, SECRET_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Conflict(f"another backup into {dest} is under way") from None
    try:
        yield
    finally:
        os.close(handle)
