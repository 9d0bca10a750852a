"""Takes the one file out of a `multipart/related` answer (PS3.18 8.7.3), while it streams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pacs_common.errors import PeerUnreachable

MAX_HEAD_BYTES = 64 * 1024
_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)


def only_part(content_type: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the file in `blocks`: the body itself, or the single part of a multipart body.

    Raises PeerUnreachable where the multipart body is not whole or holds a second part.
    """
    if not content_type.lower().startswith("multipart/"):
        yield from blocks
        return
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise PeerUnreachable("the server sent a multipart answer without a boundary")
    delimiter = b"--" + found[1].encode()
    stream = iter(blocks)
    yield from _until(b"\r\n" + delimiter, _after_head(stream, delimiter), stream)


def _after_head(stream: Iterator[bytes], delimiter: bytes) -> bytes:
    """Read the part's head and return the first bytes of its body."""
    head = b""
    for block in stream:
        head += block
        start = head.find(delimiter)
        end = head.find(b"\r\n\r\n", max(start, 0))
        if start >= 0 and end >= 0:
            return head[end + 4 :]
        if len(head) > MAX_HEAD_BYTES:
            break
    raise PeerUnreachable("the server sent a multipart answer without a part")


def _until(closing: bytes, rest: bytes, stream: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes before `closing`, holding back what may be its beginning."""
    held = rest
    while (end := held.find(closing)) < 0:
        keep = len(closing) - 1
        if len(held) > keep:
            yield held[:-keep]
            held = held[-keep:]
        block = next(stream, None)
        if block is None:
            raise PeerUnreachable("the server's answer ended in the middle of a file")
        held += block
    yield held[:end]
    tail = held[end + len(closing) :] + b"".join(stream)
    if not tail.startswith(b"--"):
        raise PeerUnreachable("the server sent more than the one file")
