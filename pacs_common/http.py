"""One HTTP client between roles: timeouts always, retries only where retriable, streams to file."""

from __future__ import annotations

import functools
import hashlib
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx

from pacs_common import errors
from pacs_common.logs import TRACE_HEADER, trace_id
from pacs_common.measures import asked
from pacs_common.sentences import say

CHUNK_BYTES = 1 << 20
BODY_TRIES = 3
Chunk = TypeVar("Chunk", bytes, str)
_BY_STATUS: dict[int, type[errors.ArgensError]] = {  # where the answer's title says no more
    400: errors.BadInput,
    401: errors.NotAuthenticated,
    403: errors.Refused,
    404: errors.NotFound,
    406: errors.NotAcceptable,
    408: errors.PeerUnreachable,
    409: errors.Conflict,
    429: errors.Unavailable,
    503: errors.Unavailable,
    507: errors.DiskFull,
}


@functools.lru_cache(maxsize=1)
def _usual_tls() -> ssl.SSLContext:
    """Return what believes the usual authorities: reading them takes 50 ms, so once."""
    return httpx.create_ssl_context(trust_env=False)


_FAILURES = (httpx.HTTPError, httpx.InvalidURL)


@dataclass(frozen=True)
class Received:
    """What was streamed to a file: its size and the SHA-256 (hex) of its bytes."""

    size_bytes: int
    sha256: str


class HttpClient:
    """Speaks to one role at `base_url`; safe to share between threads.

    What fails is told of `name`, which people know; without one, of the address. A server of others
    may want an `authorization` of its own with each request, and `tls` that knows its authority.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str = "",
        connect_s: float = 2.0,
        read_s: float = 30.0,
        retries: int = 0,
        authorization: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.name = name or self.base_url
        self._retries = retries
        self._connect_s, self._read_s = connect_s, read_s
        self._client = httpx.Client(
            base_url=self.base_url,
            follow_redirects=False,
            trust_env=False,
            headers={"Authorization": authorization} if authorization else None,
            verify=_usual_tls() if tls is None else tls,
            timeout=httpx.Timeout(read_s, connect=connect_s),
        )

    def close(self) -> None:
        """Close the connections that are kept open for the next request."""
        self._client.close()

    def json(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        read_s: float | None = None,
    ) -> Any:
        """Send a request and return the JSON answer (None where it is empty).

        `read_s` is how long this one may take, where that is longer than the client waits for
        others. Raises the error whose `http_status` the peer answered, or PeerUnreachable.
        """
        response = self._answer(
            method,
            path,
            token=token,
            params=params,
            headers=headers,
            content={
                **({"json": body} if body is not None else {}),
                "timeout": self._timeout(read_s),
            },
        )
        return self._parsed(response)

    def put_file(
        self,
        path: str,
        source: IO[bytes],
        size_bytes: int,
        *,
        token: str | None = None,
        content_type: str = "application/dicom",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """PUT the rest of an open file of `size_bytes`, streamed; return the JSON answer.

        Raises BadInput where the file is not of that size.
        """
        told = {"Content-Type": content_type, "Content-Length": str(size_bytes), **(headers or {})}
        chunks = _exactly(source, size_bytes)
        response = self._once(
            "PUT", path, token=token, params=None, headers=told, content={"content": chunks}
        )
        return self._parsed(response)

    def download(self, path: str, target: Path, *, token: str | None = None) -> Received:
        """Stream a GET into `target` (not synced), hashing on the way.

        Raises PeerUnreachable where the body breaks off; `target` is then incomplete.
        """
        digest, size = hashlib.sha256(), 0
        with self.stream("GET", path, token=token) as response, target.open("wb") as file:
            for chunk in guarded(response.iter_bytes(CHUNK_BYTES), self.name):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
        return Received(size, digest.hexdigest())

    def body(
        self, path: str, *, token: str | None = None, params: Mapping[str, Any] | None = None
    ) -> Iterator[bytes]:
        """Yield a GET's body as it comes; closing the generator ends the request.

        It is asked for again while nothing of it came. Raises PeerUnreachable where it breaks off
        later: then the caller has part of it.
        """
        as_it_is = {"Accept-Encoding": "identity"}
        for attempt in range(BODY_TRIES):
            began = False
            try:
                with self.stream(
                    "GET", path, token=token, params=params, headers=as_it_is
                ) as response:
                    for chunk in guarded(response.iter_raw(), self.name):
                        began = True
                        yield chunk
                return
            except errors.PeerUnreachable:
                if began or attempt == BODY_TRIES - 1:
                    raise
            time.sleep(0.2 * 2**attempt)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        content: Iterable[bytes] | None = None,
        passing: bool = False,
        read_s: float | None = None,
    ) -> Iterator[httpx.Response]:
        """Yield an open answer whose body is still to be read.

        `body` is sent as JSON, `content` as it comes, chunk by chunk. With `passing`, answers of
        300 and more are yielded as they are (for a proxy); else they raise their error before
        anything is yielded.
        """
        begun = time.perf_counter()
        try:
            request = self._client.build_request(
                method,
                path,
                params=params,
                headers=_headers(headers, token),
                json=body,
                content=content,
                timeout=self._timeout(read_s),
            )
            response = self._sent(request)
        except _FAILURES as error:
            raise self._failed(error) from None
        asked.answered(self.name, begun, response.headers.get("Date"))
        try:
            if response.status_code >= 300 and not passing:
                raise self._translated(self._read(response))
            yield response
        finally:
            response.close()

    def _sent(self, request: httpx.Request) -> httpx.Response:
        """Send a request; where the peer has just closed a kept connection, a GET goes again."""
        try:
            return self._client.send(request, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if request.method not in {"GET", "HEAD"}:
                raise
        return self._client.send(request, stream=True)

    def _timeout(self, read_s: float | None) -> httpx.Timeout:
        return httpx.Timeout(max(read_s or 0.0, self._read_s), connect=self._connect_s)

    def _answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        for attempt in range(self._retries + 1):
            try:
                return self._once(method, path, **request)
            except errors.PeerUnreachable:
                if attempt == self._retries or method not in {"GET", "PUT"}:
                    raise
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _once(
        self,
        method: str,
        path: str,
        *,
        token: str | None,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        content: Mapping[str, Any],
    ) -> httpx.Response:
        begun = time.perf_counter()
        try:
            response = self._client.request(
                method, path, params=params, headers=_headers(headers, token), **content
            )
        except _FAILURES as error:
            raise self._failed(error) from None
        asked.answered(self.name, begun, response.headers.get("Date"))
        if response.status_code >= 300:
            raise self._translated(response)
        return response

    def _read(self, response: httpx.Response) -> httpx.Response:
        try:
            response.read()
        except httpx.HTTPError as error:
            raise self._failed(error) from None
        return response

    def _parsed(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except (ValueError, RecursionError):
            path = response.request.url.path
            raise errors.PeerUnreachable(f"{self.name} answered {path} with no JSON") from None

    def _failed(self, error: Exception) -> errors.ArgensError:
        if isinstance(error, httpx.InvalidURL):
            return errors.BadInput(f"{self.name}: {error}")
        asked.failed(self.name, in_time=not isinstance(error, httpx.TimeoutException))
        return errors.PeerUnreachable(f"{self.name}: {_why(error)}")

    def _translated(self, response: httpx.Response) -> errors.ArgensError:
        document = _problem(response)
        detail = str(document.get("detail") or response.reason_phrase)
        kind = _kind(response.status_code, document.get("title"))
        answered = {"peer": self.name, "status": response.status_code}
        return kind(say("peer-answered", **answered, why=detail))


def guarded(chunks: Iterator[Chunk], who: str) -> Iterator[Chunk]:
    """Yield a body's chunks; a connection that breaks in the middle is PeerUnreachable."""
    try:
        yield from chunks
    except httpx.HTTPError as error:
        raise errors.PeerUnreachable(f"{who} broke off: {_why(error)}") from None


def held(chunks: Iterable[bytes], who: str, most_bytes: int) -> bytes:
    """Return a body that is held in memory; PeerUnreachable where it breaks off or is larger."""
    taken = bytearray()
    for chunk in guarded(iter(chunks), who):
        taken += chunk
        if len(taken) > most_bytes:
            raise errors.PeerUnreachable(f"{who} answered more than {most_bytes} bytes")
    return bytes(taken)


def described(document: Mapping[str, Any], who: str) -> errors.ArgensError:
    """Return the error that a problem document in the midst of a stream tells of."""
    status = document.get("status")
    kind = _kind(status if isinstance(status, int) else 500, document.get("title"))
    return kind(f"{who}: {document.get('detail')}")


def _exactly(source: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    left = size_bytes
    while chunk := source.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise errors.BadInput(f"the file to send is not of {size_bytes} bytes")


def _why(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "did not answer in time"
    return str(error) or type(error).__name__


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        document = response.json()
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _kind(status: int, title: object) -> type[errors.ArgensError]:
    """Return the class of an answer: the one of this title and status, else that of the status."""
    for kind in errors.explained():
        if (kind.http_status, kind.title) == (status, title):
            return kind
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return errors.BadInput if 400 <= status < 500 else errors.PeerUnreachable


def _headers(headers: Mapping[str, str] | None, token: str | None) -> dict[str, str]:
    merged = dict(headers or {})
    if token:
        merged["Authorization"] = f"Bearer {token}"
    trace = trace_id.get()
    if trace and trace.isascii() and trace.isprintable():  # it may have come from anywhere
        merged[TRACE_HEADER] = trace
    return merged
