"""The role's database: is it there, new enough, migrated, and by the same clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from pacs_common.doctor.finding import Finding, ok, one_line, problem
from pacs_common.doctor.others import clock

ABOUT = "database"
OLDEST_POSTGRESQL = 140_000
Ask = Callable[[str], Any]  # the one value of one statement


def database(
    vendor: str, ask: Ask, unapplied: Callable[[], list[str]], role: str
) -> Iterator[Finding]:
    """Examine a database by asking it; what is away is a problem and ends the examination."""
    is_sqlite = vendor == "sqlite"
    try:
        version = str(ask("SELECT sqlite_version()" if is_sqlite else "SHOW server_version"))
        waiting = unapplied()
    except Exception as error:  # of whatever driver the role uses
        todo = "start it, or correct PACS_DATABASE_URL (docs/runbooks/database-lost.md)"
        yield problem(ABOUT, f"does not answer: {one_line(error)}", todo)
        return
    yield ok(ABOUT, f"{'SQLite' if is_sqlite else 'PostgreSQL'} {version} answers")
    if waiting:
        told = f"{len(waiting)} migrations are not applied, first {waiting[0]}"
        yield problem(ABOUT, told, f"manage.py {role} migrate (run does it at its start)")
    else:
        yield ok(ABOUT, "every migration is applied")
    if not is_sqlite:
        yield from _server(ask)


def _server(ask: Ask) -> Iterator[Finding]:
    if int(ask("SHOW server_version_num")) < OLDEST_POSTGRESQL:
        yield problem(ABOUT, "the server is older than PostgreSQL 14", "update the server")
    begun = time.time()
    told = float(ask("SELECT extract(epoch FROM clock_timestamp())"))
    ahead = round(told - (begun + time.time()) / 2, 1)
    yield clock("database's machine", ahead)
