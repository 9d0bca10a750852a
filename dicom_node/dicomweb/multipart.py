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
    """Return a streamed multipart answer; its first bytes are made before the status is sent."""
    boundary = f"argens-{secrets.token_hex(16)}"
    waiting = iter(parts)
    first = [_begun(part) for part in itertools.islice(waiting, 1)]
    answer = StreamingHttpResponse(_stream(itertools.chain(first, waiting), boundary))
    answer["Content-Type"] = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return answer


def single(part: Part) -> StreamingHttpResponse:
    """Return one part as the whole answer; its first bytes are made before the status is sent."""
    return StreamingHttpResponse(_begun(part).body, content_type=part.content_type)


def _begun(part: Part) -> Part:
    """Take the first chunk, so that what cannot be read fails while it can still be said."""
    chunks = iter(part.body)
    return Part(part.content_type, itertools.chain(list(itertools.islice(chunks, 1)), chunks))


def _stream(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield f"--{boundary}\r\nContent-Type: {part.content_type}\r\n\r\n".encode()
        yield from part.body
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
