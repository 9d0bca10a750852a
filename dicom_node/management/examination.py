"""What `manage.py node doctor` looks at: the node's own parts, and those that it speaks to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from dicom_node import peers
from dicom_node.api import forwarding
from dicom_node.config import CONFIG
from dicom_node.dimse.scu import remote, send
from dicom_node.dimse.scu.remote import Remote
from dicom_node.store.layout import Layout
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
from pacs_common.errors import ArgensError

ROLE = "node"
AT_ONCE = 8


def examinations() -> list[tuple[str, Examination]]:
    """Return what is examined, in the order in which it is told."""
    return [
        ("settings", lambda: settings(_contradictions())),
        ("ports", _ports),
        ("certificates", _certificates),
        ("disk", _disk),
        ("secrets", _secrets),
        ("database", _database),
        ("backup", lambda: restored.backups(CONFIG.data_dir, ROLE)),
        ("forwarding", _forwarding),
        ("portal", _portal),
        ("peers", _peers),
    ]


def _contradictions() -> Iterator[Finding]:
    for issuer in ("portal", "archive"):
        if not (CONFIG.trust_dir / f"{issuer}.pub.pem").is_file():
            told = f"{CONFIG.trust_dir} has no {issuer}.pub.pem: the {issuer} is refused here"
            yield warning("settings", told, f"copy it from the {issuer}'s PACS_TRUST_DIR")
    if not CONFIG.portal_url:
        told = "PACS_PORTAL_URL is empty: people's API tokens do not work at this node"
        yield warning("settings", told, "name the portal's address")
    if CONFIG.dicom_bind == "127.0.0.1" and not CONFIG.tls.port:
        told = "PACS_DICOM_BIND is 127.0.0.1: no other machine reaches the DICOM port"
        yield warning("settings", told, "bind the address that modalities call")
    book = peers.current()
    if not CONFIG.accept_loopback and not book.peers:
        told = "no peer is known: every association is rejected"
        yield warning("settings", told, "add the modalities (docs/access.md)")
    if book.problem:
        yield problem("settings", book.problem, "correct it; the last good one is in force")


def _forwarding() -> Iterator[Finding]:
    for told in forwarding.problems():
        yield problem("forwarding", told, "see docs/forwarding.md")


def _ports() -> Iterator[Finding]:
    yield ports.port("DICOM", CONFIG.dicom_bind, CONFIG.dicom_port, ROLE, "PACS_DICOM_PORT")
    if CONFIG.tls.port:
        bind = CONFIG.tls.bind or CONFIG.dicom_bind
        yield ports.port("DICOM TLS", bind, CONFIG.tls.port, ROLE, "PACS_DICOM_TLS_PORT")
    yield ports.port("HTTP", CONFIG.http_bind, CONFIG.http_port, ROLE, "PACS_HTTP_PORT")


def _certificates() -> Iterator[Finding]:
    tls = CONFIG.tls
    if tls.port and tls.certificate:
        yield from certificates.certificate(
            "DICOM TLS", tls.certificate, tls.key or tls.certificate, tls.authorities
        )


def _disk() -> Iterator[Finding]:
    layout = Layout(CONFIG.data_dir)
    yield from disks.folder(CONFIG.data_dir, reserve_bytes=CONFIG.reserve_bytes)
    yield from disks.linked(layout.objects, layout.quarantine)


def _secrets() -> Iterator[Finding]:
    yield from disks.secret(CONFIG.data_dir / "secret-key", "PACS_SECRET_KEY")
    yield from disks.secret(CONFIG.identity.users_file, "PACS_DICOM_USERS_FILE")
    if CONFIG.tls.key:
        yield from disks.secret(CONFIG.tls.key, "PACS_DICOM_TLS_KEY")


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


def _portal() -> Iterator[Finding]:
    if CONFIG.portal_url:
        yield from others.role("portal", CONFIG.portal_url)


def _peers() -> Iterator[Finding]:
    """C-ECHO every peer that listens, side by side."""
    called = [remote.known(title) for title in peers.current().destinations]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(_echoed, called)


def _echoed(peer: Remote) -> Finding:
    about = f"peer {peer}"
    try:
        send.echo(peer)
    except ArgensError as error:
        todo = "compare AE titles, address and port on both sides (docs/runbooks/modality-moved.md)"
        return problem(about, one_line(error), todo)
    finally:
        connections.close_all()
    return ok(about, "answers a C-ECHO")
