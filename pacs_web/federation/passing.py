"""Passes a node's answer on to the browser, streamed, with its status and type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx
from django.http import HttpResponse, StreamingHttpResponse

from pacs_common.errors import ArgensError, BadInput, NotAuthenticated, PeerUnreachable
from pacs_common.http import guarded
from pacs_web.federation.server import Server

BLOCK_BYTES = 256 * 1024
NOT_MODIFIED = 304
TRY_THE_NEXT = {404, 502, 503}  # another node may hold the series, or hold it online
PASSED_BACK = (
    "Accept-Ranges",
    "Content-Encoding",
    "Content-Length",
    "Content-Location",
    "Content-Range",
    "ETag",
    "Last-Modified",
    "Retry-After",
    "Vary",
    "Warning",
    "X-Picture-Frame",
    "X-Picture-Instance",
    "X-Picture-Lossy",
    "X-Picture-Size",
    "X-Picture-Source",
    "X-Picture-State",
    "X-Picture-Window",
)
PASSED_ON = (
    *("Accept", "Accept-Charset", "Accept-Encoding"),
    *("If-Modified-Since", "If-None-Match", "If-Range", "Range"),
)


class Body(Iterator[bytes]):
    """The rest of an open answer; Django closes it when the browser has it or has gone."""

    def __init__(
        self, opened: AbstractContextManager[httpx.Response], answer: httpx.Response, who: str
    ) -> None:
        self._opened = opened
        self._blocks = guarded(answer.iter_raw(BLOCK_BYTES), who)

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """Let the connection go, wherever the body stands."""
        self._opened.__exit__(None, None, None)


def passed(opened: AbstractContextManager[httpx.Response], who: str) -> StreamingHttpResponse:
    """Return the answer of the node `who` as our own; errors before its first byte raise.

    Raises PeerUnreachable for a status that is between the portal and the node alone.
    """
    answer = opened.__enter__()
    if not _is_for_callers(answer.status_code):
        opened.__exit__(None, None, None)
        raise PeerUnreachable(f"{who} answered with status {answer.status_code}")
    response = StreamingHttpResponse(
        Body(opened, answer, who),
        status=answer.status_code,
        content_type=answer.headers.get("Content-Type", "application/octet-stream"),
    )
    for name in PASSED_BACK:
        if name in answer.headers:
            response[name] = answer.headers[name]
    return response


def _is_for_callers(status: int) -> bool:
    """Return whether a caller can make use of it: no redirect, and no word on our own ticket."""
    return 200 <= status < 300 or status == NOT_MODIFIED or (400 <= status < 600 and status != 401)


def as_ours(error: ArgensError) -> ArgensError:
    """Return a node's error as a caller's: it never says anything of the caller's own login."""
    if isinstance(error, NotAuthenticated):
        return PeerUnreachable(
            "a server does not accept the portal's tickets (are the clocks right?)"
        )
    return error


def held(answer: httpx.Response, who: str) -> HttpResponse:
    """Return a small answer of the node `who` as our own, read to its end; errors as `passed`."""
    if not _is_for_callers(answer.status_code):
        raise PeerUnreachable(f"{who} answered with status {answer.status_code}")
    content = b"".join(guarded(answer.iter_bytes(BLOCK_BYTES), who))
    response = HttpResponse(content, status=answer.status_code)
    for name in ("Content-Type", "Content-Location", "Retry-After", "Warning"):
        if name in answer.headers:
            response[name] = answer.headers[name]
    return response


def head_of(response: StreamingHttpResponse) -> HttpResponse:
    """Return the same answer without its body, which is not fetched any further."""
    response.close()
    return HttpResponse(status=response.status_code, headers=dict(response.items()))


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what of a browser's request headers a node is told; raises BadInput."""
    return {"Accept-Encoding": "identity", **sendable(headers, PASSED_ON)}


def sendable(headers: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the headers of these names; raises BadInput where one could not be sent on."""
    given = {name: headers[name].strip(" \t") for name in names if name in headers}
    for name, value in given.items():
        if not (value.isascii() and value.isprintable()):
            raise BadInput(f"the header {name} is not of ASCII characters alone (RFC 9110 5.5)")
    return given


def passed_from(
    nodes: Sequence[Server],
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> StreamingHttpResponse:
    """Pass on `/dicom-web/<path>` from the first of `nodes` that has it; else the last answer.

    Raises PeerUnreachable where none answers.
    """
    for node in nodes[:-1]:
        try:
            response = passed(node.dicomweb(path, params=params, headers=headers), node.name)
        except ArgensError as error:
            if error.http_status not in TRY_THE_NEXT:
                raise
            continue
        if response.status_code not in TRY_THE_NEXT:
            return response
        response.close()
    if not nodes:
        raise PeerUnreachable("no server is registered that could have it")
    last = nodes[-1]
    return passed(last.dicomweb(path, params=params, headers=headers), last.name)
