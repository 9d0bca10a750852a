"""HTTP as a role serves it, counted by route: never by path, which holds UIDs.

`note_route` is the outermost middleware of the role, `Counted` stands around its application.
The time is that until the answer begins; its bytes are counted as they leave.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from prometheus_client import Counter, Histogram

NO_ROUTE = "none"  # an address that nothing answers to, and static files
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_KEY = "argens.route"
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
_CONVERTER = re.compile(r"<[^<>:]*:")

SECONDS = Histogram(
    "argens_http_request_seconds",
    "Time until an answer began, by route.",
    ["route"],
    buckets=BUCKETS_S,
)
REQUESTS = Counter(
    "argens_http_requests_total", "Requests, by route.", ["route", "method", "status"]
)
SENT = Counter("argens_http_sent_bytes_total", "Bytes of answers, by route.", ["route"])
RECEIVED = Counter("argens_http_received_bytes_total", "Bytes of requests, by route.", ["route"])

Environ = dict[str, Any]
Application = Callable[..., Iterable[bytes]]


def note_route(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remember which address of the role's table answered a request (a middleware)."""

    def middleware(request: Any) -> Any:
        answer = get_response(request)
        remember(request)
        return answer

    return middleware


def remember(request: Any) -> None:
    """Put the route that was resolved for a request where the counting finds it."""
    match = request.resolver_match
    if match is not None:
        request.META[_KEY] = _named((match.url_name and match.view_name) or match.route)


class Counted:
    """A WSGI application whose requests are counted."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        begun = time.perf_counter()
        status = ""
        headers: list[tuple[str, str]] = []

        def started(said: str, told: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal status, headers
            status, headers = said, told
            return start_response(said, told, *error)

        answer = self.application(environ, started)
        return _count(environ, status, headers, answer, time.perf_counter() - begun)


def _count(
    environ: Environ,
    status: str,
    headers: list[tuple[str, str]],
    answer: Iterable[bytes],
    took_s: float,
) -> Iterable[bytes]:
    """Count a request that is answered; an answer that does not tell its length is metered."""
    route, method = environ.get(_KEY, NO_ROUTE), environ["REQUEST_METHOD"]
    seconds, sent, received = _of_route(route)
    seconds.observe(took_s)
    _of_answer(route, method if method in _METHODS else "other", status[:3]).inc()
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and length != "0":
        received.inc(int(length))
    if method == "HEAD":
        return answer
    told = next((value for name, value in headers if name.lower() == "content-length"), "")
    if told.isdecimal():
        sent.inc(int(told))
        return answer  # as it is: the server may send a file by the kernel
    return _Metered(answer, sent)


@cache
def _of_route(route: str) -> tuple[Any, Any, Any]:
    return SECONDS.labels(route), SENT.labels(route), RECEIVED.labels(route)


@cache
def _of_answer(route: str, method: str, status: str) -> Any:
    return REQUESTS.labels(route, method, status)


@cache
def _named(route: str) -> str:
    """Return a route as a label: "studies/<study_uid>" of "studies/<str:study_uid>"."""
    return _CONVERTER.sub("<", route) or "/"


class _Metered:
    """An answer whose bytes are counted as they leave."""

    def __init__(self, answer: Iterable[bytes], sent: Any) -> None:
        self._answer, self._sent = answer, sent

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._answer:
            self._sent.inc(len(piece))
            yield piece

    def close(self) -> None:
        """Close the answer, as the server does with every one."""
        close = getattr(self._answer, "close", None)
        if close is not None:
            close()
