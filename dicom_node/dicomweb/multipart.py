"""multipart/related answers, streamed part by part (RFC 2387, PS3.18 8.6.1.2)."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.http import HttpResponse, StreamingHttpResponse


@dataclass(frozen=True)
class Part:
    """One part: its content type, its body in chunks, and the address of what it holds."""

    content_type: str
    body: Iterable[bytes]
    location: str = ""

    @property
    def head(self) -> bytes:
        """The part's header fields, each with its line end."""
        fields = [f"Content-Type: {self.content_type}"]
        if self.location:
            fields.append(f"Content-Location: {self.location}")
        return "".join(f"{field}\r\n" for field in fields).encode()


class Pieces(HttpResponse):
    """A whole answer that is sent piece by piece: joining them copies a frame once more."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._container = list(pieces)
        self["Content-Length"] = str(sum(map(len, self._container)))


def response(media_type: str, parts: Iterable[Part]) -> StreamingHttpResponse:
    """Return a streamed multipart answer; its first bytes are made before the status is sent."""
    boundary = f"argens-{secrets.token_hex(16)}"
    waiting = iter(parts)
    first = [_begun(part) for part in itertools.islice(waiting, 1)]
    answer = StreamingHttpResponse(_stream(itertools.chain(first, waiting), boundary))
    answer["Content-Type"] = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return answer


def _begun(part: Part) -> Part:
    """Take the first chunk, so that what cannot be read fails while it can still be said."""
    chunks = iter(part.body)
    begun = itertools.chain(list(itertools.islice(chunks, 1)), chunks)
    return Part(part.content_type, begun, part.location)


def _stream(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield b"--%b\r\n%b\r\n" % (boundary.encode(), part.head)
        yield from part.body
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
