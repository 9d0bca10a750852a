"""Kept renditions: pictures, and frames whose file is the whole multipart answer.

The boundary of such a file is the digest of its frame, so that it tells by itself whether it is
undamaged, and may be sent as it lies: by sendfile, or by the web server in front.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import CONFIG
from dicom_node.render.cache import KeptFiles, RenditionCache
from dicom_node.store.layout import Layout
from pacs_common.errors import NotAcceptable

LAYOUT = Layout(CONFIG.data_dir)
PICTURES = RenditionCache(LAYOUT.renditions, CONFIG.rendition_cache_bytes)
VERIFIED_S = 600.0  # a file that was held against its digest is believed for that long
_USE_NOTED_S = 60.0
_MOST_VERIFIED = 1 << 16
_OPENING, _REFUSED = b"--argens", b"refused "
_DIGEST_CHARS = 64


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file was when it was held against its digest: i-node, time and size, and when."""

    identity: tuple[int, int, int]
    at: float
    boundary: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """An undamaged frame file, open: whoever got it closes `handle`."""

    handle: int
    path: Path
    boundary: str
    size_bytes: int
    start: int
    length: int


class FrameFiles(KeptFiles):
    """Frames in a lossless transfer syntax, or that they were refused, kept by a key."""

    def __init__(self, root: Path, limit_bytes: int) -> None:
        super().__init__(root, limit_bytes)
        self._seen: dict[Path, _Seen] = {}
        self._seen_lock = threading.Lock()

    def find(self, key: str, content_type: str) -> KeptFrame | None:
        """Return the frame kept under `key`; None where there is none or it is damaged.

        Raises NotAcceptable where this frame was refused before.
        """
        path = self.path(key)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        seen = None
        try:
            seen = self._verified(handle, path, content_type)
        finally:
            if seen is None or seen.refusal:
                os.close(handle)
        if seen is None:
            return None
        if seen.refusal:
            raise NotAcceptable(seen.refusal)
        size, start = seen.identity[2], len(_head(seen.boundary, content_type))
        length = size - start - len(_tail(seen.boundary))
        return KeptFrame(handle, path, seen.boundary, size, start, length)

    def put(self, key: str, content_type: str, frame: bytes) -> None:
        """Keep a frame as a whole multipart body of one part."""
        boundary = f"argens{hashlib.sha256(frame).hexdigest()}"
        parts = _head(boundary, content_type), frame, _tail(boundary)
        self.keep(self.path(key), parts)

    def put_refusal(self, key: str, why: str) -> None:
        """Remember that a frame cannot be had so, and why."""
        reason = why.encode()
        self.keep(self.path(key), [_REFUSED, hashlib.sha256(reason).hexdigest().encode(), reason])

    def size_of(self, key: str, content_type: str) -> int | None:
        """Return the bytes of the frame kept under `key`; None without one, 0 where refused."""
        try:
            kept = self.find(key, content_type)
        except NotAcceptable:
            return 0
        if kept is None:
            return None
        os.close(kept.handle)
        return kept.length

    def _verified(self, handle: int, path: Path, content_type: str) -> _Seen | None:
        status, now = os.fstat(handle), time.time()
        identity = status.st_ino, status.st_mtime_ns, status.st_size
        seen = self._seen.get(path)
        if seen is None or seen.identity != identity or now - seen.at > VERIFIED_S:
            content = os.pread(handle, status.st_size, 0)
            boundary, refusal = _held_against_its_digest(content, content_type)
            if not boundary and not refusal:
                return None
            seen = _Seen(identity, now, boundary, refusal)
            with self._seen_lock:
                if len(self._seen) >= _MOST_VERIFIED:
                    self._seen.clear()
                self._seen[path] = seen
        if now - status.st_atime > _USE_NOTED_S:  # its time of writing stays: it is its identity
            with suppress(OSError):
                os.utime(path, ns=(int(now * 1e9), status.st_mtime_ns))
        return seen


FRAMES = FrameFiles(LAYOUT.renditions, CONFIG.rendition_cache_bytes)


def enveloped(boundary: str, content_type: str, content: bytes) -> tuple[bytes, bytes, bytes]:
    """Return a multipart body of one part (RFC 2046 5.1.1), in pieces: joining copies a frame."""
    return _head(boundary, content_type), content, _tail(boundary)


def _held_against_its_digest(content: bytes, content_type: str) -> tuple[str, str]:
    """Return the boundary of a frame file and the reason of a refusal; both blank: damaged."""
    if content.startswith(_REFUSED):
        digest, reason = _cut(content, len(_REFUSED))
        is_whole = hashlib.sha256(reason).hexdigest().encode() == digest
        return "", reason.decode() if is_whole else ""
    digest, _ = _cut(content, len(_OPENING))
    boundary = "argens" + digest.decode("latin_1")
    head, tail = _head(boundary, content_type), _tail(boundary)
    frame = memoryview(content)[len(head) : max(len(head), len(content) - len(tail))]
    is_whole = content.startswith(head) and content.endswith(tail)
    if not is_whole or hashlib.sha256(frame).hexdigest().encode() != digest:
        return "", ""
    return boundary, ""


def _cut(content: bytes, start: int) -> tuple[bytes, bytes]:
    """Return the digest that begins at `start`, and what follows it."""
    end = start + _DIGEST_CHARS
    return content[start:end], content[end:]


def _head(boundary: str, content_type: str) -> bytes:
    return f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()


def _tail(boundary: str) -> bytes:
    return f"\r\n--{boundary}--\r\n".encode()
