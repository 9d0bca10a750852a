"""Ranges of bytes of what lies in a file: 206, 416, several at once (RFC 9110 14)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import BinaryIO

from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.utils.http import http_date, parse_http_date_safe

from dicom_node.store.blobs import CHUNK_BYTES

MAX_RANGES = 32  # of more, or of such as overlap, the whole is sent (RFC 9110 14.2)
_RANGES = re.compile(r"\s*bytes\s*=(.*)\Z", re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(r"[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*\Z")
Range = tuple[int, int]  # first byte, and the one after the last


class Extract:
    """Bytes of an open file: stretches (offset, length) of it that are sent as one.

    It owns the file, and closes it.
    """

    def __init__(self, file: BinaryIO, stretches: Sequence[tuple[int, int]]) -> None:
        self._file = file
        self._stretches = tuple(stretches)
        self.size_bytes = sum(length for _, length in self._stretches)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to `stop`, in chunks; raises EOFError where they end."""
        position = 0
        for offset, length in self._stretches:
            first, last = max(start, position), min(stop, position + length)
            if first < last:
                yield from self._read(offset + first - position, last - first)
            position += length

    def _read(self, offset: int, left: int) -> Iterator[bytes]:
        self._file.seek(offset)
        while left:
            chunk = self._file.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise EOFError("the file is shorter than it was")
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class _Body(Iterator[bytes]):
    """What is sent of an extract, which is closed with it, sent or not."""

    def __init__(self, chunks: Iterator[bytes], extract: Extract) -> None:
        self._chunks, self._extract = chunks, extract

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self._extract.close()


def ranged(
    request: HttpRequest,
    extract: Extract,
    content_type: str,
    *,
    etag: str = "",
    last_modified: datetime | None = None,
) -> HttpResponseBase:
    """Answer the whole of an extract, or the ranges of it that the request asks for.

    `etag` is strong and quoted; with it or with `last_modified`, If-Range holds.
    """
    size = extract.size_bytes
    found = asked(_range_header(request, etag, last_modified), size)
    if found is None:
        answer = _streamed(extract.read(0, size), extract, size, content_type)
    elif not found:
        extract.close()
        answer = _unsatisfiable(size)
    elif len(found) == 1:
        ((start, stop),) = found
        answer = _streamed(extract.read(start, stop), extract, stop - start, content_type, 206)
        answer["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    else:
        answer = _several(extract, found, content_type)
    answer["Accept-Ranges"] = "bytes"
    if etag:
        answer["ETag"] = etag
    if last_modified is not None:
        answer["Last-Modified"] = http_date(last_modified.timestamp())
    return answer


def asked(header: str, size: int) -> list[Range] | None:
    """Return the ranges of a Range header that `size` bytes have.

    None means the whole: no header, one that makes no sense (RFC 9110 14.2), or too many ranges;
    [] that none of them can be satisfied.
    """
    match = _RANGES.match(header)
    texts = match[1].split(",") if match else []
    texts = [text for text in texts if text.strip()]
    found = [_RANGE.match(text) for text in texts]
    if not found or len(found) > MAX_RANGES or not all(map(_is_range, found)):
        return None
    ranges = [range_ for one in found if one and (range_ := _within(one, size))]
    ordered = sorted(ranges)
    if any(after[0] < before[1] for before, after in pairwise(ordered)):
        return None
    return ranges


def _is_range(match: re.Match[str] | None) -> bool:
    if match is None:
        return False
    first, last, _ = match.groups()
    return not (first and last) or int(first) <= int(last)


def _within(match: re.Match[str], size: int) -> Range | None:
    first, last, suffix = match.groups()
    if first is None:
        start, stop = max(0, size - int(suffix)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    return (start, stop) if start < stop else None


def _range_header(request: HttpRequest, etag: str, last_modified: datetime | None) -> str:
    """Return the Range header, "" where If-Range says that it is of another content (13.1.5)."""
    if request.META["REQUEST_METHOD"] != "GET":  # the method that was sent
        return ""
    condition = request.headers.get("If-Range", "").strip()
    if not condition:
        return request.headers.get("Range", "")
    if condition.startswith(('"', "W/")):
        is_same = bool(etag) and condition == etag
    else:
        date = parse_http_date_safe(condition)
        is_same = last_modified is not None and date == int(last_modified.timestamp())
    return request.headers.get("Range", "") if is_same else ""


def _streamed(
    chunks: Iterator[bytes], extract: Extract, size: int, content_type: str, status: int = 200
) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(_Body(chunks, extract), status=status, content_type=content_type)
    answer["Content-Length"] = str(size)
    return answer


def _several(extract: Extract, ranges: Sequence[Range], content_type: str) -> StreamingHttpResponse:
    """Return a multipart/byteranges answer (RFC 9110 14.6), its length known."""
    boundary = f"argens-{secrets.token_hex(16)}"
    heads = [
        f"--{boundary}\r\nContent-Type: {content_type}\r\n"
        f"Content-Range: bytes {start}-{stop - 1}/{extract.size_bytes}\r\n\r\n".encode()
        for start, stop in ranges
    ]
    end = f"--{boundary}--\r\n".encode()
    size = sum(len(head) + 2 for head in heads) + len(end)
    size += sum(stop - start for start, stop in ranges)
    chunks = _parts(extract, heads, ranges, end)
    return _streamed(chunks, extract, size, f"multipart/byteranges; boundary={boundary}", 206)


def _parts(
    extract: Extract, heads: Iterable[bytes], ranges: Iterable[Range], end: bytes
) -> Iterator[bytes]:
    for head, (start, stop) in zip(heads, ranges, strict=True):
        yield head
        yield from extract.read(start, stop)
        yield b"\r\n"
    yield end


def _unsatisfiable(size: int) -> JsonResponse:
    problem = {
        "type": "about:blank",
        "title": "Range not satisfiable",
        "status": 416,
        "detail": f"there are {size} bytes",
    }
    answer = JsonResponse(problem, status=416, content_type="application/problem+json")
    answer["Content-Range"] = f"bytes */{size}"
    return answer
