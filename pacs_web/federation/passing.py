"""Passes a node's answer on to the browser, streamed, with its status and type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx
from django.http import HttpResponse, StreamingHttpResponse

from pacs_common.errors import PeerUnreachable
from pacs_common.http import guarded
from pacs_common.node_client import NodeClient

BLOCK_BYTES = 256 * 1024
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
)
PASSED_ON = ("Accept", "Accept-Encoding", "Range", "If-None-Match", "If-Range", "Accept-Charset")


class Body(Iterator[bytes]):
    """The rest of an open answer; Django closes it when the browser has it or has gone."""

    def __init__(self, opened: AbstractContextManager[httpx.Response], answer: httpx.Response):
        self._opened = opened
        self._blocks = guarded(answer.iter_raw(BLOCK_BYTES), str(answer.url.host))

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """Let the connection go, wherever the body stands."""
        self._opened.__exit__(None, None, None)


def passed(
    opened: AbstractContextManager[httpx.Response],
) -> StreamingHttpResponse:
    """Return the answer that `opened` yields as our own; errors before its first byte raise."""
    answer = opened.__enter__()
    response = StreamingHttpResponse(
        Body(opened, answer),
        status=answer.status_code,
        content_type=answer.headers.get("Content-Type", "application/octet-stream"),
    )
    for name in PASSED_BACK:
        if name in answer.headers:
            response[name] = answer.headers[name]
    return response


def head_of(response: StreamingHttpResponse) -> HttpResponse:
    """Return the same answer without its body, which is not fetched any further."""
    response.close()
    return HttpResponse(status=response.status_code, headers=dict(response.items()))


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what of a browser's request headers a node is told."""
    given = {name: headers[name] for name in PASSED_ON if name in headers}
    return {"Accept-Encoding": "identity", **given}


def passed_from(
    nodes: Sequence[NodeClient],
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
            response = passed(node.dicomweb(path, params=params, headers=headers))
        except PeerUnreachable:
            continue
        if response.status_code not in TRY_THE_NEXT:
            return response
        response.close()
    if not nodes:
        raise PeerUnreachable("no server is registered that could have it")
    return passed(nodes[-1].dicomweb(path, params=params, headers=headers))
