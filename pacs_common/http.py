"""One HTTP client between roles: timeouts always, retries only where retriable, streams to file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from pacs_common import errors
from pacs_common.logs import trace_id

CHUNK_BYTES = 1 << 20
_BY_STATUS: dict[int, type[errors.ArgensError]] = {
    400: errors.BadInput,
    401: errors.NotAuthenticated,
    403: errors.Refused,
    404: errors.NotFound,
    406: errors.NotAcceptable,
    409: errors.Conflict,
    503: errors.NotOnline,
    507: errors.DiskFull,
}


@dataclass(frozen=True)
class Received:
    """What was streamed to a file: its size and the SHA-256 (hex) of its bytes."""

    size_bytes: int
    sha256: str


class HttpClient:
    """Speaks to one role at `base_url`; safe to share between threads."""

    def __init__(
        self, base_url: str, *, connect_s: float = 2.0, read_s: float = 30.0, retries: int = 0
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._retries = retries
        self._client = httpx.Client(
            base_url=self.base_url,
            follow_redirects=False,
            trust_env=False,
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
    ) -> Any:
        """Send a request and return the JSON answer (None where it is empty).

        Raises the error whose `http_status` the peer answered, or PeerUnreachable.
        """
        response = self._answer(
            method,
            path,
            token=token,
            params=params,
            headers=headers,
            content={"json": body} if body is not None else {},
        )
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise errors.PeerUnreachable(f"{self.base_url} answered {path} with no JSON") from None

    def put_file(
        self,
        path: str,
        source: IO[bytes],
        size_bytes: int,
        *,
        token: str | None = None,
        content_type: str = "application/dicom",
    ) -> Any:
        """PUT the rest of an open file of `size_bytes`, streamed; return the JSON answer."""
        headers = {"Content-Type": content_type, "Content-Length": str(size_bytes)}
        chunks = iter(lambda: source.read(CHUNK_BYTES), b"")
        response = self._once(
            "PUT", path, token=token, params=None, headers=headers, content={"content": chunks}
        )
        return response.json() if response.content else None

    def download(self, path: str, target: Path, *, token: str | None = None) -> Received:
        """Stream a GET into `target` (synced), hashing on the way."""
        digest, size = hashlib.sha256(), 0
        with self.stream("GET", path, token=token) as response, target.open("wb") as file:
            for chunk in guarded(response.iter_bytes(CHUNK_BYTES), self.base_url):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
        return Received(size, digest.hexdigest())

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        passing: bool = False,
    ) -> Iterator[httpx.Response]:
        """Yield an open answer whose body is still to be read.

        With `passing`, answers of 300 and more are yielded as they are (for a proxy);
        else they raise their error before anything is yielded.
        """
        request = self._client.build_request(
            method, path, params=params, headers=_headers(headers, token)
        )
        try:
            response = self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        try:
            if response.status_code >= 300 and not passing:
                response.read()
                raise self._translated(response)
            yield response
        finally:
            response.close()

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
        try:
            response = self._client.request(
                method, path, params=params, headers=_headers(headers, token), **content
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        if response.status_code >= 300:
            raise self._translated(response)
        return response

    def _unreachable(self, error: httpx.HTTPError) -> errors.PeerUnreachable:
        what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else str(error)
        return errors.PeerUnreachable(f"{self.base_url}: {what}")

    def _translated(self, response: httpx.Response) -> errors.ArgensError:
        try:
            detail = response.json().get("detail") or response.reason_phrase
        except (ValueError, AttributeError):
            detail = response.reason_phrase
        kind = _BY_STATUS.get(response.status_code, errors.PeerUnreachable)
        return kind(f"{self.base_url} answered {response.status_code}: {detail}")


def guarded(chunks: Iterator[bytes], who: str) -> Iterator[bytes]:
    """Yield a body's chunks; a connection that breaks in the middle is PeerUnreachable."""
    try:
        yield from chunks
    except httpx.HTTPError as error:
        raise errors.PeerUnreachable(f"{who} broke off: {error}") from None


def _headers(headers: Mapping[str, str] | None, token: str | None) -> dict[str, str]:
    merged = dict(headers or {})
    if token:
        merged["Authorization"] = f"Bearer {token}"
    if trace_id.get():
        merged["X-Request-Id"] = trace_id.get()
    return merged
