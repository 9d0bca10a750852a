"""What `manage.py web doctor` looks at: the portal's own parts, its servers and the archive."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from pacs_common.doctor import certificates, databases, disks, others, ports, restored
from pacs_common.doctor.finding import (
    Examination,
    Finding,
    ok,
    one_line,
    problem,
    settings,
    warning,
)
from pacs_web import config
from pacs_web.archive.asking import archive_at
from pacs_web.audit.anchors import anchors
from pacs_web.nodes.models import Node
from pacs_web.nodes.registry import archive_url, own_client, own_nodes

ROLE = "web"
WAIT_S = 3.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def examinations() -> list[tuple[str, Examination]]:
    """Return what is examined, in the order in which it is told."""
    return [
        ("settings", lambda: settings(_contradictions())),
        ("ports", _ports),
        ("disk", lambda: disks.folder(config.DATA_DIR)),
        ("secrets", _secrets),
        ("database", _database),
        ("backup", lambda: restored.backups(config.DATA_DIR, ROLE)),
        ("audit", _audit),
        ("nodes", _nodes),
        ("archive", _archive),
    ]


def _contradictions() -> Iterator[Finding]:
    hosts = {host.strip() for host in config.ALLOWED_HOSTS.split(",")}
    if not config.HTTPS and config.HTTP_BIND not in LOOPBACK:
        told = f"pages are served on {config.HTTP_BIND} without HTTPS: passwords go in clear"
        yield problem("settings", told, "put a proxy with TLS before it, and set PACS_HTTPS=yes")
    if config.HTTPS and hosts <= {"localhost", "127.0.0.1", "[::1]"}:
        told = "PACS_HTTPS is on, but PACS_ALLOWED_HOSTS names this machine alone"
        yield problem("settings", told, "name the host that people's browsers ask for")
    if config.HTTPS and not config.TRUSTED_PROXIES:
        told = "PACS_HTTPS is on without PACS_TRUSTED_PROXIES: everybody has the proxy's address"
        yield warning("settings", told, "name the proxy, so that locks and audit see who comes")
    if config.DEMO_ACCOUNTS_FILE:
        told = "PACS_DEMO_ACCOUNTS_FILE makes the demo's people"
        yield warning("settings", told, "leave it out where patients are real")


def _ports() -> Iterator[Finding]:
    yield ports.port("HTTP", config.HTTP_BIND, config.HTTP_PORT, ROLE, "PACS_HTTP_PORT")


def _secrets() -> Iterator[Finding]:
    yield from disks.secret(config.DATA_DIR / "secret.key", "PACS_SECRET_KEY")
    yield from disks.secret(config.DATA_DIR / "portal.key.pem", "PACS_DATA_DIR")
    if config.AUDIT_SYSLOG_KEY:
        yield from disks.secret(Path(config.AUDIT_SYSLOG_KEY), "PACS_AUDIT_SYSLOG_KEY")


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


def _audit() -> Iterator[Finding]:
    try:
        noted = anchors()
    except ValueError as error:
        yield problem("audit", one_line(error), "see docs/audit.md")
        return
    folder = config.AUDIT_ANCHOR_FILE.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        yield problem(
            "audit", f"{folder} is not writable", "let the role write PACS_AUDIT_ANCHOR_FILE"
        )
    else:
        yield ok("audit", f"{len(noted)} anchors are noted in {config.AUDIT_ANCHOR_FILE}")
    if config.AUDIT_SYSLOG_HOST:
        yield _receiver(config.AUDIT_SYSLOG_HOST, config.AUDIT_SYSLOG_PORT)
    if config.AUDIT_SYSLOG_CERT:
        cert = Path(config.AUDIT_SYSLOG_CERT)
        key = Path(config.AUDIT_SYSLOG_KEY) if config.AUDIT_SYSLOG_KEY else cert
        yield from certificates.certificate("the audit's syslog", cert, key, None)


def _receiver(host: str, port: int) -> Finding:
    about = f"audit receiver {host}:{port}"
    try:
        socket.create_connection((host, port), timeout=WAIT_S).close()
    except OSError as error:
        told = f"does not answer: {one_line(error)}"
        return problem(about, told, "start it, or correct PACS_AUDIT_SYSLOG_HOST")
    return ok(about, "answers")


def _nodes() -> Iterator[Finding]:
    found = own_nodes()
    if not found:
        yield warning("nodes", "none is registered", "register them, or name PACS_NODES")
    for node in found:
        key = str(config.TRUST_DIR / "portal.pub.pem")
        ask = partial(_status_of, node)
        yield from others.trusting_role(f"node {node.name}", node.url, ask, key)


def _status_of(node: Node) -> Any:
    return own_client(node, "doctor", WAIT_S).status()


def _archive() -> Iterator[Finding]:
    url = archive_url()
    if not url:
        yield warning(
            "archive", "there is none: one disk has the only copy", "set PACS_ARCHIVE_URL"
        )
        return
    key = str(config.TRUST_DIR / "portal.pub.pem")
    ask = partial(_archive_status, url)
    yield from others.trusting_role("archive", url, ask, key)


def _archive_status(url: str) -> Any:
    return archive_at(url, "doctor").status()
