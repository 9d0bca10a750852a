"""A role's database into a file and back: SQLite by its online backup, PostgreSQL by pg_dump.

Both take a snapshot while the role works, and both put one back whole or not at all: SQLite by a
rename, PostgreSQL in one transaction that also removes what was there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pacs_common.backup.manifest import sync
from pacs_common.errors import BadInput, Unavailable

_CLEAN = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n"


class Database(Protocol):
    """A database that can be backed up."""

    @property
    def engine(self) -> str:
        """sqlite or postgresql."""

    @property
    def file_name(self) -> str:
        """What its snapshot is called in a backup."""

    def dump(self, target: Path) -> None:
        """Write a snapshot to a new file; raises Unavailable."""

    def verify(self, source: Path) -> None:
        """Read a snapshot from end to end; raises Unavailable where it is not whole."""

    def is_empty(self) -> bool:
        """Whether it has no table; raises Unavailable where it does not answer."""

    def put_back(self, source: Path, aside: str) -> None:
        """Take a snapshot's place; raises Unavailable, and then nothing has changed.

        What SQLite had is kept beside it, with `aside` at the end of its name.
        """


def of(settings: Mapping[str, Any]) -> Database:
    """Return the database of Django's settings."""
    if str(settings["ENGINE"]).endswith("sqlite3"):
        return Sqlite(Path(str(settings["NAME"])))
    return Postgresql(
        name=str(settings["NAME"]),
        host=str(settings.get("HOST") or ""),
        port=str(settings.get("PORT") or ""),
        user=str(settings.get("USER") or ""),
        password=str(settings.get("PASSWORD") or ""),
    )


@dataclass(frozen=True)
class Sqlite:
    """A file, with its log beside it."""

    path: Path
    engine: str = "sqlite"
    file_name: str = "database.sqlite3"

    def dump(self, target: Path) -> None:
        """Copy all pages in one step, so that no writer can make it begin anew."""
        try:
            with (
                closing(sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True)) as live,
                closing(sqlite3.connect(target)) as copy,
            ):
                live.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from None

    def verify(self, source: Path) -> None:
        """Let SQLite look at every page."""
        try:
            with closing(sqlite3.connect(f"{source.as_uri()}?immutable=1", uri=True)) as copy:
                whole = copy.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        except sqlite3.Error as error:
            raise Unavailable(f"{source}: {error}") from None
        if not whole:
            raise Unavailable(f"{source} is not a whole SQLite database")

    def is_empty(self) -> bool:
        """Whether there is no file, or no table in it; one that cannot be read is not empty."""
        if not self.path.exists() or not self.path.stat().st_size:
            return True
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as live:
                return not live.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        except sqlite3.Error:
            return False

    def put_back(self, source: Path, aside: str) -> None:
        """Rename a copy into place; what was there, its log included, stays under another name."""
        fresh = self.path.with_name(f".{self.path.name}.restoring")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, fresh)
            self.verify(fresh)
            sync(fresh)
            for end in ("", "-wal", "-shm"):
                old = self.path.with_name(self.path.name + end)
                if old.exists():
                    old.rename(f"{old}{aside}")
            fresh.rename(self.path)
            sync(self.path.parent)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"{self.path}: {error}") from None
        finally:
            fresh.unlink(missing_ok=True)


@dataclass(frozen=True)
class Postgresql:
    """A database of a server, spoken to by PostgreSQL's own programs."""

    name: str
    host: str
    port: str
    user: str
    password: str
    engine: str = "postgresql"
    file_name: str = "database.dump"

    def dump(self, target: Path) -> None:
        """Let pg_dump write its custom format."""
        self._run("pg_dump", "--format=custom", "--no-owner", "--no-acl", f"--file={target}")

    def verify(self, source: Path) -> None:
        """Let pg_restore write all of it nowhere."""
        self._run("pg_restore", f"--file={os.devnull}", str(source), connects=False)

    def is_empty(self) -> bool:
        """Whether its schema has no table."""
        told = self._run(
            "psql", "-X", "-A", "-t", "-c",
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
        )  # fmt: skip
        return told.strip() == b"0"

    def put_back(self, source: Path, aside: str) -> None:
        """Replace all in one transaction: who is killed in the middle has changed nothing."""
        script = source.with_name(f".{source.name}.sql")
        try:
            script.touch(mode=0o600)
            told = ["--no-owner", "--no-acl", f"--file={script}", str(source)]
            self._run("pg_restore", *told, connects=False)
            self._run(
                "psql", "-X", "-q", "--single-transaction", "-v", "ON_ERROR_STOP=1",
                "-c", _CLEAN, "-f", str(script),
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(f"{script}: {error.strerror}") from None
        finally:
            script.unlink(missing_ok=True)

    def _run(self, program: str, *argv: str, connects: bool = True) -> bytes:
        found = shutil.which(program)
        if found is None:
            raise BadInput(f"{program} is not installed: apt-get install postgresql-client")
        where = {"PGDATABASE": self.name, "PGHOST": self.host, "PGPORT": self.port,
                 "PGUSER": self.user, "PGPASSWORD": self.password,
                 "PGCONNECT_TIMEOUT": "10"}  # fmt: skip
        done = subprocess.run(  # noqa: S603 - argv is ours
            [found, *argv],
            env={**os.environ, **{k: v for k, v in where.items() if v and connects}},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise Unavailable(f"{program}: {said[0] if said else f'status {done.returncode}'}")
        return done.stdout
