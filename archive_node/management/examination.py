"""What `manage.py archive doctor` looks at: the archive's own parts, its vaults and its nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from kombu import Connection

from archive_node import library, nodes
from archive_node.config import CONFIG
from archive_node.models import KnownVault
from pacs_common import errors
from pacs_common.doctor import databases, disks, others, ports, restored
from pacs_common.doctor.finding import (
    Examination,
    Finding,
    ok,
    one_line,
    problem,
    settings,
    warning,
)

ROLE = "archive"
WAIT_S = 3.0


def examinations() -> list[tuple[str, Examination]]:
    """Return what is examined, in the order in which it is told."""
    return [
        ("settings", lambda: settings(_contradictions())),
        ("ports", _ports),
        ("disk", lambda: disks.folder(CONFIG.data_dir)),
        ("secrets", _secrets),
        ("database", _database),
        ("backup", lambda: restored.backups(CONFIG.data_dir, ROLE)),
        ("broker", _broker),
        ("vaults", _vaults),
        ("nodes", _nodes),
    ]


def _contradictions() -> Iterator[Finding]:
    if not CONFIG.nodes:
        yield warning("settings", "PACS_NODES is empty: nothing is archived", "name the nodes")
    if not (CONFIG.trust_dir / "portal.pub.pem").is_file():
        told = f"{CONFIG.trust_dir} has no portal.pub.pem: the portal is refused here"
        yield warning("settings", told, "copy it from the portal's PACS_TRUST_DIR")
    required = library.required()
    if len(required) < 2:
        told = f"one vault alone is required ({', '.join(required)}): a fire takes every copy"
        yield warning("settings", told, "name a second vault elsewhere (docs/vaults.md)")


def _ports() -> Iterator[Finding]:
    yield ports.port("HTTP", CONFIG.http_bind, CONFIG.http_port, ROLE, "PACS_HTTP_PORT")


def _secrets() -> Iterator[Finding]:
    yield from disks.secret(CONFIG.data_dir / "secret-key", "PACS_SECRET_KEY")
    yield from disks.secret(CONFIG.data_dir / "archive.key.pem", "PACS_DATA_DIR")
    if CONFIG.keys_file:
        yield from disks.secret(Path(CONFIG.keys_file), "PACS_ARCHIVE_KEYS_FILE")


def _database() -> Iterator[Finding]:
    return databases.database(connection.vendor, _one, _unapplied, ROLE)


def _one(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def _unapplied() -> list[str]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _broker() -> Iterator[Finding]:
    if CONFIG.broker_url.startswith("filesystem"):
        messages = CONFIG.broker_dir / "messages"
        if messages.is_dir() and not os.access(messages, os.W_OK | os.X_OK):
            yield problem("broker", f"{messages} is not writable", "let the role write it")
        else:
            yield ok("broker", "is a folder, and is written")
        return
    try:
        options = {"socket_connect_timeout": WAIT_S}
        with Connection(CONFIG.broker_url, transport_options=options) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=WAIT_S)
    except Exception as error:  # of whatever transport kombu uses
        yield problem("broker", f"does not answer: {one_line(error)}", "start it (PACS_BROKER_URL)")
        return
    yield ok("broker", "answers")


def _vaults() -> Iterator[Finding]:
    """Open each vault that the catalogue knows; one that is new is made by `run` alone."""
    known = set(KnownVault.objects.values_list("name", flat=True))
    for name, spec in library.specs().items():
        about = f"vault {name}"
        if name not in known:
            yield warning(about, f"{spec.place} is not made yet", "manage.py archive run makes it")
            continue
        try:
            found = library.vault(name).volumes()
        except (errors.ArgensError, OSError) as error:
            todo = "mount or start it (docs/runbooks/tape-stuck.md)"
            yield problem(about, one_line(error), todo)
            continue
        yield ok(about, f"{spec.kind} answers with {len(found)} volumes")


def _nodes() -> Iterator[Finding]:
    for name in nodes.names():
        key = str(CONFIG.trust_dir / "archive.pub.pem")
        ask = partial(_status_of, name)
        yield from others.trusting_role(f"node {name}", CONFIG.nodes[name], ask, key)


def _status_of(name: str) -> Any:
    return nodes.client(name, subject="doctor").status()
