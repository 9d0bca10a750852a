"""Addresses of a foreign server inside its answers, made the portal's own: none gets out."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from pacs_common.errors import TooLarge
from pacs_common.http import guarded

MOST_BYTES = 256 << 20
_OF_THE_BODY = {"content-length", "content-encoding", "transfer-encoding", "etag", "connection"}


class _Whole(httpx.SyncByteStream):
    """A body that is known already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


def readdressed(answer: httpx.Response, root: str, base: str) -> httpx.Response:
    """Return a JSON or XML answer whose addresses below `root` lead below `base`.

    A server may name itself by another scheme or host than it is registered by (it stands behind
    a proxy): what ends in the same path is its own. Raises TooLarge beyond MOST_BYTES.
    """
    content = bytearray()
    for chunk in guarded(answer.iter_bytes(), root):
        content += chunk
        if len(content) > MOST_BYTES:
            raise TooLarge(f"metadata of more than {MOST_BYTES >> 20} MiB are not passed on")
    made = _with_roots(bytes(content), root, base)
    kept = [(n, v) for n, v in answer.headers.items() if n.lower() not in _OF_THE_BODY]
    return httpx.Response(
        answer.status_code,
        headers=[*kept, ("Content-Length", str(len(made)))],
        stream=_Whole(made),
        request=answer.request,
    )


def _with_roots(content: bytes, root: str, base: str) -> bytes:
    path = urlsplit(root).path
    for studies in (f"{root}/studies/", f"{path}/studies/" if path else ""):
        if not studies:
            continue
        for written in (studies, studies.replace("/", "\\/")):
            content = _replaced(content, written.encode(), f"{base}/studies/".encode())
    return content


def _replaced(content: bytes, found: bytes, instead: bytes) -> bytes:
    """Replace whole quoted addresses that hold `found`: from the quote (or >) before it on."""
    pieces = content.split(found)
    for index in range(len(pieces) - 1):
        start = max(pieces[index].rfind(b'"'), pieces[index].rfind(b">")) + 1
        lead = pieces[index][start:]
        if lead and not lead.lower().startswith((b"http:", b"https:")):
            pieces[index] += found  # a text that only looks like it
        else:
            pieces[index] = pieces[index][:start] + instead
    return b"".join(pieces)
