"""The body of a STOW-RS request (PS3.18 10.5): passed on in chunks, its beginning looked at."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from email.message import Message

from django.http import HttpRequest
from pydicom.tag import BaseTag, Tag

from pacs_common.errors import BadInput
from pacs_web.dicomweb.elements import read_elements

CHUNK_BYTES = 256 << 10
PEEKED_BYTES = 1 << 20
STUDY = Tag("StudyInstanceUID")
_STUDY_IN_JSON = re.compile(
    rb'"0020000D"\s*:\s*\{[^{}]*?"Value"\s*:\s*\[\s*"(?P<uid>[0-9.]{1,64})"', re.IGNORECASE
)
LOG = logging.getLogger(__name__)


def chunks(request: HttpRequest) -> Iterator[bytes]:
    """Yield the body from its stream, chunked transfer too; BadInput where it breaks off."""
    stream = request.environ["wsgi.input"]
    length = request.headers.get("Content-Length", "")
    counted = length.isascii() and length.isdigit()
    chunked = "Transfer-Encoding" in request.headers
    left = int(length) if counted else CHUNK_BYTES * chunked
    while left:
        try:
            chunk = stream.read(min(left, CHUNK_BYTES))
        except OSError as error:
            raise BadInput(f"the body breaks off: {type(error).__name__}") from None
        if not chunk and counted:
            raise BadInput(f"the body breaks off: {left} bytes are missing")
        if not chunk:
            return
        left -= len(chunk) if counted else 0
        yield chunk


def beginning(body: Iterator[bytes]) -> bytes:
    """Take the first mebibyte off `body`, or all of it where it is shorter."""
    taken = bytearray()
    while len(taken) < PEEKED_BYTES and (chunk := next(body, None)) is not None:
        taken += chunk
    return bytes(taken)


def study_in(content_type: str, head: bytes) -> str:
    """Return the Study Instance UID of the first object in `head`; BadInput where it shows none."""
    part = first_part(content_type, head)
    found = _in_json(part) if is_json(part) else _in_dicom(part)
    if not found:
        raise BadInput(
            "the first object names no study where it can be seen: name it in the address"
        )
    return found


def first_part(content_type: str, head: bytes) -> bytes:
    """Return the beginning of the first object in `head` (b"" where no part begins there)."""
    kind, boundary = type_and_boundary(content_type)
    if not kind.startswith("multipart/"):
        return head
    start = head.find(b"--" + boundary.encode("latin-1", "replace"))
    end = head.find(b"\r\n\r\n", max(start, 0))
    return head[end + 4 :] if start >= 0 and end >= 0 else b""


def is_json(part: bytes) -> bool:
    """Whether an object is metadata in DICOM JSON."""
    return part.lstrip()[:1] in {b"[", b"{"}


def type_and_boundary(content_type: str) -> tuple[str, str]:
    """Return the media type in lower case, and its boundary ("" where there is none)."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary", "")
    return message.get_content_type(), boundary if isinstance(boundary, str) else ""


def _in_json(part: bytes) -> str:
    found = _STUDY_IN_JSON.search(part)
    return found["uid"].decode() if found else ""


def _in_dicom(part: bytes) -> str:
    try:
        read = read_elements(part, PEEKED_BYTES, _is_after_study)
    except BadInput as error:
        LOG.info("the beginning of a stored object cannot be read", extra={"why": str(error)})
        return ""
    return str(read.get("StudyInstanceUID", "") or "")


def _is_after_study(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag > STUDY
