"""The body of a request, in chunks and in parts: never held whole (PS3.18 8.6, RFC 2046 5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Protocol

from django.http import HttpRequest
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from pacs_common.errors import BadInput, TooLarge

CHUNK_BYTES = 256 << 10
MAX_HEADERS, MAX_HEADER_BYTES = 32, 8 << 10  # of one part
MAX_CONTENT_TYPE_CHARS = 4096


@dataclass(frozen=True)
class MediaType:
    """A Content-Type: its type in lower case, and its parameters without their quotes."""

    name: str
    parameters: Mapping[str, str]


class Receiver(Protocol):
    """What takes the parts, in their order; `headers` have lower-case names."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """A part begins."""

    def write(self, chunk: memoryview) -> None:
        """The next bytes of it; the chunk is free again when this returns."""

    def end(self) -> None:
        """The part is whole."""


def media_type(text: str) -> MediaType:
    """Return a Content-Type that was parsed; raises BadInput."""
    if len(text) > MAX_CONTENT_TYPE_CHARS or not text.isprintable():
        raise BadInput("the Content-Type cannot be read")
    message = Message()
    message["Content-Type"] = text
    try:
        pairs = message.get_params(failobj=[], unquote=True) or [("", "")]
        said = {str(name).lower(): _plain(value) for name, value in pairs[1:]}
    except (ValueError, TypeError, LookupError):
        raise BadInput("the Content-Type cannot be read") from None
    return MediaType(str(pairs[0][0]).strip().lower(), said)


def chunks(request: HttpRequest, max_bytes: int) -> Iterator[bytes]:
    """Yield the body of a request from its stream, chunked transfer too.

    Raises TooLarge beyond `max_bytes` (0: none), BadInput where it breaks off.
    """
    stream = request.environ["wsgi.input"]
    said = request.headers.get("Content-Length", "")
    is_counted = said.isascii() and said.isdigit()
    left = int(said) if is_counted else -1
    if max_bytes and left > max_bytes:
        raise TooLarge(f"the body is longer than {max_bytes} bytes")
    taken = 0
    while left:
        try:
            chunk = stream.read(min(left, CHUNK_BYTES) if is_counted else CHUNK_BYTES)
        except OSError as error:  # the connection, or the framing of its chunks
            raise BadInput(f"the body breaks off: {type(error).__name__}") from None
        if not chunk:
            if is_counted:
                raise BadInput(f"the body breaks off: {left} bytes are missing")
            return
        taken += len(chunk)
        left -= len(chunk) if is_counted else 0
        if max_bytes and taken > max_bytes:
            raise TooLarge(f"the body is longer than {max_bytes} bytes")
        yield chunk


def read_parts(body: Iterator[bytes], boundary: str, receiver: Receiver, max_parts: int) -> None:
    """Give the parts of a multipart body to a receiver as they come.

    Raises BadInput where the body is none, or ends before its closing boundary; TooLarge for one
    part too many; and what the receiver raises.
    """
    if not boundary or not boundary.isascii() or not boundary.isprintable():
        raise BadInput("the Content-Type names no boundary that can be")
    parts = _Parts(receiver, max_parts)
    try:
        parser = MultipartParser(
            boundary,
            parts.callbacks(),
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        for chunk in body:
            parser.write(chunk)
    except FormParserError as error:
        raise BadInput(f"the body is no multipart of this boundary: {error}") from None
    if not parts.is_whole:
        raise BadInput("the body ends before its closing boundary")


def _plain(value: object) -> str:
    """Return a parameter's value; of an extended one (RFC 2231) its text."""
    return str(value[2] if isinstance(value, tuple) else value)


class _Parts:
    """The callbacks of one parser: collects the headers of a part, passes its data on."""

    def __init__(self, receiver: Receiver, max_parts: int) -> None:
        self.is_whole = False
        self._receiver, self._left = receiver, max_parts
        self._headers: dict[str, str] = {}
        self._name, self._value = bytearray(), bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._begin,
            "on_part_data": self._write,
            "on_part_end": self._receiver.end,
            "on_end": self._end,
        }

    def _header_end(self) -> None:
        name = self._name.decode("latin_1").strip().lower()
        self._headers[name] = self._value.decode("latin_1").strip()
        self._name.clear()
        self._value.clear()

    def _begin(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooLarge("the body has more parts than PACS_STOW_MAX_PARTS allows")
        self._receiver.begin(dict(self._headers))

    def _write(self, data: bytes, start: int, end: int) -> None:
        self._receiver.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self.is_whole = True
