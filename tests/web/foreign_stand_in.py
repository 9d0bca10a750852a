"""A DICOMweb server of another maker in a thread, over TLS if a test says so, with its own ways."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.web.quiet_server import QuietServer


@dataclass
class Foreign:
    """A running server: its address, what it was asked, and how it behaves."""

    url: str
    studies: list[dict[str, Any]]
    asked: list[str] = field(default_factory=list)
    told: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 1000
    warns: bool = False
    redirects_to: str = ""
    wants: str = ""  # its Authorization


@contextmanager
def foreign_stand_in(
    studies: list[dict[str, Any]], tls: ssl.SSLContext | None = None
) -> Iterator[Foreign]:
    """Run a server of these studies below `/rs` on a free port of the loopback."""
    handler = type("Handler", (_Handler,), {})
    server = QuietServer(handler)
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    scheme = "http" if tls is None else "https"
    handler.foreign = foreign = Foreign(f"{scheme}://127.0.0.1:{server.server_port}/rs", studies)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield foreign
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def study(number: int, **elements: dict[str, Any]) -> dict[str, Any]:
    """Return a study as such a server answers it: no issuer, modalities in one string."""
    return {
        "00100020": {"vr": "LO", "Value": [f"P{number}"]},
        "0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]},
        "00080061": {"vr": "CS", "Value": ["CT\\SR"]},
        "00081190": {"vr": "UR", "Value": [f"https://elsewhere/rs/studies/1.2.{number}"]},
        **elements,
    }


class _Handler(BaseHTTPRequestHandler):
    foreign: Foreign
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.foreign.asked.append(self.path)
        self.foreign.told.append(dict(self.headers))
        if self.foreign.wants and self.headers.get("Authorization") != self.foreign.wants:
            return self._send(401, {"error": "who are you?"})
        if self.foreign.redirects_to:
            return self._send(302, {}, Location=self.foreign.redirects_to)
        asked = parse_qs(urlsplit(self.path).query)
        start = int(asked.get("offset", ["0"])[0])
        size = min(self.foreign.at_once, int(asked.get("limit", ["1000"])[0]))
        page = self.foreign.studies[start : start + size]
        more = start + size < len(self.foreign.studies) and self.foreign.warns
        warning = {"Warning": '299 rs: "There are additional results"'} if more else {}
        return self._send(200 if page else 204, page, **warning)

    def log_message(self, *args: Any) -> None:
        pass

    def _send(self, status: int, body: Any, **headers: str) -> None:
        content = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
