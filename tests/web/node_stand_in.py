"""A node as `docs/interfaces.md` describes it, in a thread: for the portal's tests alone.

It verifies tickets with the real verifier and speaks over a real socket. `Behaviour` makes
it hang, break or answer nonsense.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydicom import Dataset

from pacs_common.errors import ArgensError, BadQuery, problem
from pacs_common.tickets import TicketVerifier
from tests.web.made_studies import file_bytes, header_of
from tests.web.node_answers import (
    behind,
    instances,
    matches,
    metadata_of,
    picture_of,
    series,
    studies,
)
from tests.web.node_storing import StoringHandler
from tests.web.quiet_server import QuietServer

TOLD = ("/api/node", "/api/instances/")  # of its own accord; the rest as a test lets it


@dataclass
class Behaviour:
    """What is wrong with this node."""

    hang: threading.Event | None = None
    nonsense: bool = False
    unready: list[str] = field(default_factory=list)  # why, at /readyz
    away: set[str] = field(default_factory=set)  # studies whose pixels are in the archive
    refuses: str = ""  # why it takes no query
    says: dict[str, Any] = field(default_factory=dict)  # of itself, besides
    warns: str = ""  # in the header of its answers to queries
    fails_at: str = ""  # the level whose queries are a 500
    tells: dict[str, str] = field(default_factory=dict)  # headers of its pictures
    breaks_off: str = ""  # the instance in whose file the connection dies
    dicom_tls: dict[str, str] | None = None  # the certificate of its DICOM port
    films: set[str] = field(default_factory=set)  # instances that leave as they are stored alone


@dataclass
class StandIn:
    """A running node: its address, what it holds, what it was asked."""

    name: str
    url: str
    instances: list[Dataset]
    behaviour: Behaviour
    asked: list[str] = field(default_factory=list)
    told: list[dict[str, str]] = field(default_factory=list)  # the headers of what is stored
    api: dict[str, tuple[str, Any]] = field(default_factory=dict)  # address: scope and answer
    bodies: list[dict[str, Any]] = field(default_factory=list)  # of what is posted to `api`


@contextmanager
def node_stand_in(
    name: str, instances: list[Dataset], trust_dir: Path, behaviour: Behaviour | None = None
) -> Iterator[StandIn]:
    """Run a node that holds `instances` on a free port of the loopback."""
    handler = type("Handler", (_Handler,), {})
    server = QuietServer(handler)
    node = StandIn(
        name, f"http://127.0.0.1:{server.server_port}", instances, behaviour or Behaviour()
    )
    handler.node, handler.verifier = node, TicketVerifier(name, trust_dir)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield node
    finally:
        if node.behaviour.hang is not None:
            node.behaviour.hang.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(StoringHandler, BaseHTTPRequestHandler):
    node: StandIn
    verifier: TicketVerifier
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        params = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.node.asked.append(self.path)
        if self.node.behaviour.hang is not None:
            self.node.behaviour.hang.wait(20)
            self.close_connection = True
            return
        if url.path == "/readyz":
            why = self.node.behaviour.unready
            return self._json({"ready": not why, "reasons": why}, 503 if why else 200)
        try:
            if url.path in self.node.api:
                return self._from_api(url.path)
            if url.path.startswith("/api/") and not url.path.startswith(TOLD):
                return self._missing()
            self._admit("status" if url.path == "/api/node" else "dicomweb")
            self._route(url.path.strip("/").split("/"), params)
        except ArgensError as error:
            self._json(problem(error), error.http_status, "application/problem+json")

    def log_message(self, *args: Any) -> None:
        pass

    def _admit(self, scope: str) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.verifier.verify(token).require(scope)

    def _from_api(self, path: str) -> None:
        scope, answer = self.node.api[path]
        ticket = self.verifier.verify(self._token())
        ticket.require(scope, ticket.study)
        if isinstance(answer, ArgensError):
            raise answer
        if isinstance(answer, bytes):
            return self._send(answer, 200, "image/jpeg")
        return self._json(answer)

    def _route(self, path: list[str], params: dict[str, str]) -> None:
        if self.node.behaviour.nonsense:
            return self._send(b"<html>hello</html>", 200, "text/html")
        match path:
            case ["api", "node"]:
                return self._json(status_of(self.node) | self.node.behaviour.says)
            case ["api", "instances", uid, "header"]:
                return self._header(uid)
            case ["dicom-web", *rest]:
                return self._dicomweb(rest, params)
        return self._missing()

    def _header(self, uid: str) -> None:
        found = [one for one in self.node.instances if uid == one.SOPInstanceUID]
        return self._json(header_of(found[0])) if found else self._missing()

    def _dicomweb(self, path: list[str], params: dict[str, str]) -> None:
        if path[-1] in {"studies", "series", "instances"}:
            return self._query(path, params)
        held = self._at(path)
        if not held:
            return self._missing()
        if path[-1] == "metadata":
            return self._json([metadata_of(one) for one in held], kind="application/dicom+json")
        if held[0].StudyInstanceUID in self.node.behaviour.away and path[-1] != "thumbnail":
            body = {"title": "Not online", "status": 503, "detail": "in the archive"}
            return self._json(body, 503, "application/problem+json", {"Retry-After": "60"})
        if path[-1] in {"rendered", "thumbnail"}:
            return self._picture(held[0], path, params)
        uids, as_stored = {one.SOPInstanceUID for one in held}, "transfer-syntax=*"
        if uids & self.node.behaviour.films and as_stored not in self.headers["Accept"]:
            body = {"title": "Not acceptable", "status": 406, "detail": "as stored only"}
            return self._json(body, 406, "application/problem+json")
        return self._files(held)

    def _query(self, path: list[str], params: dict[str, str]) -> None:
        level = path[-1]
        if self.node.behaviour.fails_at == level:
            return self._json({}, 500)
        if self.node.behaviour.refuses:
            raise BadQuery(self.node.behaviour.refuses)
        found = [one for one in self._at(path[:-1]) if matches(one, params)]
        answers = {"studies": studies, "series": series, "instances": instances}[level](
            found, self.node.behaviour.away
        )
        if "after" in params:
            answers = behind(answers, params["after"])
        start = int(params.get("offset", 0))
        page = answers[start : start + int(params.get("limit", 100))]
        warns = self.node.behaviour.warns
        more = {"Warning": f'299 argens "{warns}"'} if warns else None
        self._json(page, 200 if page else 204, "application/dicom+json", more)

    def _at(self, path: list[str]) -> list[Dataset]:
        held = self.node.instances
        for level, uid in zip(path[::2], path[1::2], strict=False):
            keyword = {
                "studies": "StudyInstanceUID",
                "series": "SeriesInstanceUID",
                "instances": "SOPInstanceUID",
            }.get(level)
            if keyword:
                held = [one for one in held if one.get(keyword) == uid]
        return held

    def _picture(self, one: Dataset, path: list[str], params: dict[str, str]) -> None:
        if "Rows" not in one:
            body = {"title": "Cannot render", "status": 406, "detail": "no pixels"}
            return self._json(body, 406, "application/problem+json")
        frame = int(path[path.index("frames") + 1]) if "frames" in path else 1
        self._send(picture_of(one, frame, params), 200, "image/jpeg", self.node.behaviour.tells)

    def _files(self, held: list[Dataset]) -> None:
        boundary = "stand-in-boundary"
        parts = [
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file_bytes(one)
            for one in held
        ]
        body = b"\r\n".join(parts) + f"\r\n--{boundary}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        if self.node.behaviour.breaks_off in {one.SOPInstanceUID for one in held}:
            return self._break_off(body, kind)
        self._send(body, 200, kind)

    def _break_off(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True

    def _missing(self) -> None:
        body = {"title": "Not found", "status": 404, "detail": "not here"}
        self._json(body, 404, "application/problem+json")

    def _json(
        self,
        body: Any,
        status: int = 200,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        content = b"" if status == 204 else json.dumps(body).encode()
        self._send(content, status, kind, headers)

    def _send(
        self, content: bytes, status: int, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def status_of(node: StandIn) -> dict[str, Any]:
    """Return the account that a node gives of itself."""
    return {
        "name": node.name,
        "ae_title": f"ARGENS_{node.name}",
        "version": "0.1.0",
        "dicom_port": 11112,
        "dicom_tls": node.behaviour.dicom_tls,
        "default_issuer": "FREJUS",
        "started_at": "2026-11-21T08:00:00+00:00",
        "last_arrival_at": "2026-11-21T09:12:00+00:00",
        "disk": {
            "total_bytes": 6_500_000_000,
            "free_bytes": 2_100_000_000,
            "stored_bytes": 4_100_000_000,
            "reserve_bytes": 100_000_000,
        },
        "counts": {
            "studies": len({one.StudyInstanceUID for one in node.instances}),
            "series": len({one.SeriesInstanceUID for one in node.instances}),
            "instances": len(node.instances),
            "evicted": 0,
            "quarantined": 1,
            "damaged": 0,
            "non_patient": 0,
        },
        "arrivals": {
            "days": 7.0,
            "instances": 5000,
            "bytes": 350_000_000,
            "bytes_a_day": 50_000_000,
        },
        "single_copy_studies": 17,
        "renditions": {
            "mode": "cache",
            "images": 480,
            "original_bytes": 250_000_000,
            "rendition_bytes": 92_000_000,
            "saved_bytes": 0,
        },
    }
