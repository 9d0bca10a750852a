"""A real HTTP peer in a thread that answers as a test tells it, and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """The answers to give, in turn (the last one stays), and the requests that came."""

    answers: list[Callable[[BaseHTTPRequestHandler], None]]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Take a request whole and answer it."""
        length = int(request.headers.get("Content-Length", 0))
        body = request.rfile.read(length)
        if len(body) < length:
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.command, request.path, headers, body))
        give = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            give(request)
        except (BrokenPipeError, ConnectionResetError):
            request.close_connection = True  # the caller gave up first


@contextmanager
def peer(*answers: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Peer]:
    """Serve on a free port until the block ends."""
    served = Peer(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            served.answer(self)

        do_GET = do_PUT = do_POST = do_DELETE = _take

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(
    body: bytes = b"", status: int = 200, content_type: str = "application/json", **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with a body of its own length."""

    def give(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", content_type)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return give


def says_json(answer: object, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with a JSON document."""
    return says(json.dumps(answer).encode(), status)


def breaks_off(body: bytes, of: int, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    """Promise `of` bytes, send fewer, and hang up."""

    def give(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(of))
        request.end_headers()
        request.wfile.write(body)
        request.close_connection = True

    return give


def waits(for_: threading.Event, body: bytes = b"") -> Callable[[BaseHTTPRequestHandler], None]:
    """Send a status and perhaps some of the body, then nothing until the event."""

    def give(request: BaseHTTPRequestHandler) -> None:
        if body:
            request.send_response(200)
            request.send_header("Content-Length", str(len(body) + 1))
            request.end_headers()
            request.wfile.write(body)
            request.wfile.flush()
        for_.wait(20)
        request.close_connection = True

    return give
