"""An archive as `docs/interfaces.md` describes it, in a thread: for the portal's tests alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from pacs_common.archive_client import AUDIENCE
from pacs_common.errors import ArgensError, problem
from pacs_common.tickets import Ticket, TicketVerifier
from tests.web.quiet_server import QuietServer

NOW = "2026-11-21T09:00:00+00:00"


@dataclass
class Archive:
    """A running archive: its address, its jobs, and the tickets it was shown."""

    url: str
    jobs: list[dict[str, Any]] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, study_uid: str, state: str = "queued", by: str = "rule") -> Any:
        """Queue a job, newest first."""
        job = {
            "id": len(self.jobs) + 1,
            "kind": kind,
            "state": state,
            "node": "CT",
            "study_uid": study_uid,
            "requested_by": by,
            "attempts": 1,
            "error": "the drive is jammed" if state == "failed" else "",
            "progress": {
                "instances_done": 2,
                "instances_total": 5,
                "bytes_done": 40,
                "bytes_total": 100,
            },
            "created_at": NOW,
            "updated_at": NOW,
        }
        self.jobs.insert(0, job)
        return job


@contextmanager
def archive_stand_in(trust_dir: Path) -> Iterator[Archive]:
    """Run an archive on a free port of the loopback."""
    handler = type("Handler", (_Handler,), {})
    server = QuietServer(handler)
    archive = Archive(f"http://127.0.0.1:{server.server_port}")
    handler.archive, handler.verifier = archive, TicketVerifier(AUDIENCE, trust_dir)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    archive: Archive
    verifier: TicketVerifier

    def do_GET(self) -> None:
        if self.path == "/readyz":
            return self._send(200, {"status": "ready", "reasons": {}})
        scope = "log.read" if self.path.startswith("/api/log") else "archive.read"
        return self._answered(self._read, scope)

    def do_POST(self) -> None:
        self._answered(self._write, None)

    def log_message(self, *args: Any) -> None:
        pass

    def _answered(self, answer: Any, scope: str | None) -> None:
        try:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            ticket = self.verifier.verify(token)
            self.archive.tickets.append(ticket)
            if scope:
                ticket.require(scope)
            status, body = answer(ticket, self.path.partition("?")[0].strip("/").split("/"))
        except ArgensError as error:
            status, body = error.http_status, problem(error)
        self._send(status, body)

    def _send(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _read(self, ticket: Ticket, path: list[str]) -> tuple[int, Any]:
        match path:
            case ["api", "status"]:
                return 200, self._status()
            case ["api", "volumes"]:
                return 200, {"volumes": [VOLUME]}
            case ["api", "log"]:
                return 200, {"lines": self.archive.log}
            case ["api", "jobs"]:
                return 200, {"jobs": self.archive.jobs}
            case ["api", "studies", uid]:
                jobs = [job for job in self.archive.jobs if job["study_uid"] == uid]
                return 200, {"study_uid": uid, "copies": [{"volume": "A00001"}], "jobs": jobs}
        return 404, {"title": "Not found", "status": 404, "detail": "no such resource"}

    def _write(self, ticket: Ticket, path: list[str]) -> tuple[int, Any]:
        if path[-1] == "retry":
            ticket.require("archive.operate")
            job = next(job for job in self.archive.jobs if job["id"] == int(path[2]))
            if job["state"] != "failed":
                return 409, {"title": "Conflict", "status": 409, "detail": "it has not failed"}
            job["state"] = "queued"
            return 202, {"job": job}
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ticket.require("archive.recall" if asked["kind"] == "recall" else "archive.operate")
        return 202, {
            "job": self.archive.add(asked["kind"], asked["study_uid"], by=asked["requested_by"])
        }

    def _status(self) -> dict[str, Any]:
        states = [job["state"] for job in self.archive.jobs]
        return {
            "name": "archive",
            "version": "0.1.0",
            "vaults": [VAULT],
            "jobs": {
                state: states.count(state) for state in ("queued", "running", "done", "failed")
            },
            "nodes": [{"name": "RF", "reachable": False, "error": "no route to RF", "studies": 0}],
            "policy": {"quiet_s": 900, "high_watermark": 0.85},
        }


VAULT = {
    "name": "vault-1",
    "kind": "tape library",
    "drives": 2,
    "volumes": 1,
    "used_bytes": 12_000_000,
    "capacity_bytes": 35_000_000_000,
}
VOLUME = {
    "label": "A00001",
    "vault": "vault-1",
    "state": "filling",
    "used_bytes": 12_000_000,
    "capacity_bytes": 35_000_000_000,
    "copies": 1,
    "first_written_at": NOW,
    "last_written_at": NOW,
    "drive": None,
}
