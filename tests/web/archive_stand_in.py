"""An archive as `docs/interfaces.md` describes it, in a thread: for the portal's tests alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pacs_common.archive_client import AUDIENCE
from pacs_common.errors import ArgensError, BadInput, NotFound, problem
from pacs_common.tickets import Ticket, TicketVerifier
from tests.web.archive_answers import Archive
from tests.web.quiet_server import QuietServer

SCOPES = {"log": "log.read", "audit": "audit.read"}


@contextmanager
def archive_stand_in(trust_dir: Path, port: int = 0) -> Iterator[Archive]:
    """Run an archive on a port of the loopback, a free one unless it is named."""
    handler = type("Handler", (_Handler,), {})
    server = QuietServer(handler, port)
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
        return self._answered("GET")

    def do_POST(self) -> None:
        self._answered("POST")

    def do_PUT(self) -> None:
        self._answered("PUT")

    def do_DELETE(self) -> None:
        self._answered("DELETE")

    def log_message(self, *args: Any) -> None:
        pass

    def _answered(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        try:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            ticket = self.verifier.verify(token)
            self.archive.tickets.append(ticket)
            address = urlsplit(self.path)
            path = [unquote(part) for part in address.path.strip("/").split("/")][1:]
            self.archive.asked.append(f"{method} {address.path}")
            ticket.require(_scope(method, path, body))
            answer = self._answer(method, path, dict(parse_qsl(address.query)), body, ticket)
            status, told = answer
        except ArgensError as error:
            status, told = error.http_status, problem(error)
        self._send(status, told)

    def _answer(
        self, method: str, path: list[str], query: dict[str, str], body: Any, ticket: Ticket
    ) -> tuple[int, Any]:
        archive = self.archive
        if archive.broken:
            raise BadInput(archive.broken)
        verb = f"do_{method.lower()}"
        for part in (archive.work, archive.shelf, archive.policy):
            found = getattr(part, verb)(path, query, body, ticket.subject)
            if found is not None:
                return found
        raise NotFound("no such resource")

    def _send(self, status: int, body: Any) -> None:
        content = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _scope(method: str, path: list[str], body: Any) -> str:
    if method == "GET":
        return SCOPES.get(path[0], "archive.read")
    if path == ["jobs"] and body["kind"] == "recall":
        return "archive.recall"
    return "archive.operate"
