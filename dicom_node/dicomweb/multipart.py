"""multipart/related answers, streamed part by part (RFC 2387, PS3.18 8.6.1.2)."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.http import StreamingHttpResponse


@dataclass(frozen=True)
class Part:
    """One part: its content type, and its body in chunks."""

    content_type: str
    body: Iterable[bytes]


def response(media_type: str, parts: Iterable[Part]) -> StreamingHttpResponse:
    """Return a streamed multipart answer; its first part is made before the status is sent."""
    boundary = f"argens-{secrets.token_hex(16)}"
    waiting = iter(parts)
    first = list(itertools.islice(waiting, 1))
    answer = StreamingHttpResponse(_stream(itertools.chain(first, waiting), boundary))
    answer["Content-Type"] = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return answer


def _stream(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield f"--{boundary}\r\nContent-Type: {part.content_type}\r\n\r\n".encode()
        yield from part.body
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
