"""The doctor finds what is really broken, says what to do, and breaks over none of it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import roles
from tests.support.certificates import Authority
from tests.support.ports import free_port

pytestmark = pytest.mark.slow
Found = dict[str, list[dict[str, str]]]


@contextmanager
def clock(ahead: timedelta, status: int = 200) -> Iterator[str]:
    """A role whose machine's clock is wrong: it answers anything, by its own time."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *told: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def rejecting() -> Iterator[int]:
    """A DICOM peer that knows nobody: it answers each association with A-ASSOCIATE-RJ."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(4096)
                    peer.sendall(bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 7]))  # called AE title unknown
                    peer.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def examine(role: roles.Role, status: int) -> Found:
    """Return what a doctor found, by what it is about (its first two words)."""
    done = role.command("doctor", "--json")
    assert done.returncode == status, done.stdout + done.stderr
    found: Found = {}
    for one in json.loads(done.stdout):
        found.setdefault(" ".join(one["about"].split()[:2]), []).append(one)
        assert one["todo"] or one["level"] == "ok", one
    return found


def told(found: Found, about: str, level: str) -> str:
    """Return what is told of something at a level."""
    return "\n".join(f"{o['told']} -> {o['todo']}" for o in found[about] if o["level"] == level)


def test_a_node_with_everything_broken_is_told_of_each_part(tmp_path: Path):
    authority, other = Authority(tmp_path), Authority(tmp_path, "Other")
    expired, fresh = authority.issue("node", days=-1), authority.issue("fresh", days=90)
    os.chmod(fresh.key, 0o644)
    with (
        clock(timedelta(minutes=5)) as portal,
        rejecting() as wrong_ae,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        node = roles.node(
            tmp_path,
            PACS_DICOM_PORT=str(taken.getsockname()[1]),
            PACS_DICOM_TLS_PORT=str(free_port()),
            PACS_DICOM_TLS_CERT=str(expired.certificate),
            PACS_DICOM_TLS_KEY=str(fresh.key),
            PACS_DICOM_TLS_CA=str(other.certificate),
            PACS_PORTAL_URL=portal,
            PACS_MOVE_DESTINATIONS=f"WRONG=127.0.0.1:{wrong_ae},GONE=127.0.0.1:{free_port()}",
            PACS_DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port()}/none",
            PACS_RESERVE_BYTES=str(1 << 60),
        )
        data = Path(node.env["PACS_DATA_DIR"])
        data.mkdir()
        (data / "restoring").write_text("argens-node-CT-x\n")
        (data / "peers.json").write_text("no json")
        found = examine(node, 2)
    assert "taken by process" in told(found, "DICOM port", "problem")
    assert "free" in told(found, "DICOM TLS", "ok") and "free" in told(found, "HTTP port", "ok")
    certificate = told(found, "certificate of", "problem")
    assert "ended on" in certificate and "certificate-expired.md" in certificate
    assert "is the key of another one" in certificate and "vouches for" in certificate
    assert "chmod 600" in told(found, f"secret {fresh.key.name}", "problem")
    assert "more than the disk has" in told(found, "room in", "problem")
    assert "database-lost.md" in told(found, "database", "problem")
    assert "s ahead of this one" in told(found, "portal", "problem")
    assert "NTP" in told(found, "portal", "problem")
    assert "rejected" in told(found, "peer WRONG", "problem")
    assert "modality-moved.md" in told(found, "peer GONE", "problem")
    assert "run manage.py node restore again" in told(found, "restore", "problem")
    assert "peers.json" in told(found, "settings", "problem")
    assert "portal.pub.pem" in told(found, "settings", "warning")
    assert "run manage.py node backup each night" in told(found, "backup", "warning")


def test_an_archive_with_everything_broken_is_told_of_each_part(tmp_path: Path):
    with clock(timedelta(minutes=-5), 401) as late:
        archive = roles.archive(
            tmp_path,
            {},
            PACS_NODES=f"CT={late},CR=http://127.0.0.1:{free_port()}",
            PACS_BROKER_URL=f"redis://127.0.0.1:{free_port()}/0",
        )
        assert archive.command("migrate").returncode == 0
        data = Path(archive.env["PACS_DATA_DIR"])
        os.chmod(data / "secret-key", 0o640)
        found = examine(archive, 2)
    assert "behind this one" in told(found, "node CT", "problem")
    assert "copy" in told(found, "node CT", "problem")  # its key is not trusted there
    assert "does not answer" in told(found, "node CR", "problem")
    assert "PACS_BROKER_URL" in told(found, "broker", "problem")
    assert "mode 640" in told(found, "secret secret-key", "problem")
    assert "is not made yet" in told(found, "vault vault-1", "warning")
    assert not (data / "vault").exists()  # the doctor makes nothing
    assert "second vault" in told(found, "settings", "warning")
    assert "every migration is applied" in told(found, "database", "ok")


def test_a_portal_with_contradictions_and_an_empty_database(tmp_path: Path):
    portal = roles.portal(
        tmp_path,
        {},
        "",
        PACS_HTTP_BIND="0.0.0.0",
        PACS_AUDIT_SYSLOG_HOST="127.0.0.1",
        PACS_AUDIT_SYSLOG_PORT=str(free_port()),
    )
    found = examine(portal, 2)
    assert "without HTTPS" in told(found, "settings", "problem")
    assert "migrations are not applied" in told(found, "database", "problem")
    assert "manage.py web migrate" in told(found, "database", "problem")
    assert "does not answer" in told(found, "audit receiver", "problem")
    assert "cannot be examined" in told(found, "nodes", "problem")  # and the doctor went on
    assert "demo" in told(found, "settings", "warning")
