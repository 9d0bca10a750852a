"""A PostgreSQL cluster of one's own: on a free port of loopback, in a folder that goes with it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.services import require

USER = "postgres"  # the server refuses to run as root


class Cluster:
    """One server; `stop` and `start` may be called as often as a test wants."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._data = folder / "data"
        self.port = free_port()
        self._as_user = {"user": USER, "group": USER, "extra_groups": []} if _is_root() else {}
        if _is_root():
            shutil.chown(folder, USER, USER)
        self._run("initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8")

    def url(self, database: str) -> str:
        """Return the URL of a database of this server."""
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database and return its URL."""
        self.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement and return what it printed (unaligned, rows only)."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database]
        return self._run("psql", "-X", "-A", "-t", *where, "-c", statement)

    def start(self) -> Cluster:
        """Start the server and wait until it answers."""
        told = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", told, "start")
        return self

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `immediate` is its crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def _run(self, program: str, *argv: str) -> str:
        command: Sequence[str] = [str(self._programs / program), *argv]
        done = subprocess.run(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
            **self._as_user,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}"
        return done.stdout.strip()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster until the block ends; skips where PostgreSQL is not installed."""
    programs = Path(require("postgres")).resolve().parent
    if _is_root() and not _has_user():
        pytest.skip(f"needs postgres: root has no account {USER!r} to run it as")
    with tempfile.TemporaryDirectory(prefix="argens-postgres-", ignore_cleanup_errors=True) as name:
        server = Cluster(programs, Path(name)).start()
        try:
            yield server
        finally:
            if (Path(name) / "data" / "postmaster.pid").exists():
                server.stop("immediate")


def _is_root() -> bool:
    return os.geteuid() == 0


def _has_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True
