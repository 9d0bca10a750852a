"""A door before an HTTP server: it shows what passes, and breaks what a test wants broken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Seen:
    """One request, and how many bytes answered it."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.size = len(body)
        self.answered = 0


@contextmanager
def recorded(
    endpoint: str, decide: Callable[[Seen], int | None] = lambda seen: None
) -> Iterator[tuple[str, list[Seen]]]:
    """Pass requests on to a store, unless `decide` answers a status in its place.

    -1 passes the request on and drops the answer, -2 sends half the answer.
    """
    seen: list[Seen] = []
    to = urlsplit(endpoint)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Seen(self.command, self.path, headers, body)
            seen.append(request)
            status = decide(request)
            if status is not None and status > 0:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._pass_on(request, status)

        def _pass_on(self, request: Seen, status: int | None) -> None:
            connection = HTTPConnection(to.hostname, to.port)
            connection.request(request.method, request.path, request.body, request.headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            request.answered = len(content)
            if status == -1:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if request.method == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if status == -2:
                content, self.close_connection = content[: len(content) // 2], True
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
