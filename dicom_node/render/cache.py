"""A bounded cache of renditions on disk; losing any of it costs time and nothing else."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dicom_node import measures

LOG = logging.getLogger(__name__)

_DIGEST_BYTES = hashlib.sha256().digest_size
_TEMPORARY = ".new-"
_ABANDONED_S = 3600.0  # a temporary file this old belongs to a process that died
_LOW_WATER = 0.9  # eviction goes a little below the limit, so that it is not run for each file
_SCAN_SHARE = 32  # measured again after writing 1/32 of the limit: others write too


@dataclass(frozen=True)
class _Entry:
    path: Path
    size_bytes: int
    used_at: float


class KeptFiles:
    """Keeps at most about `limit_bytes` below `root`, forgetting what was least recently used.

    Threads and processes may share a folder: a file appears whole, by renaming. What it holds
    must say by itself that it is undamaged.
    """

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self.root = root
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._measured_bytes: int | None = None  # by the last scan; None: never scanned
        self._written_bytes = 0  # since then, by this process

    def path(self, key: str) -> Path:
        """Return where the file of a key is, or would be."""
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.root / name[:2] / name[2:]

    def keep(self, path: Path, parts: Iterable[bytes]) -> None:
        """Write a file below the root; one that cannot be written (full disk) is no error."""
        parts = list(parts)
        size_bytes = sum(map(len, parts))
        if size_bytes > self._limit_bytes:
            return
        try:
            _write(path, parts)
        except OSError as error:
            LOG.warning("a rendition cannot be kept", extra={"reason": error.strerror})
            return
        if self._scan_is_due(size_bytes):
            self._evict()

    def has_room(self) -> bool:
        """Whether more can be kept before something else is forgotten for it."""
        if self._measured_bytes is None:
            self._evict()
        with self._lock:
            taken = (self._measured_bytes or 0) + self._written_bytes
        return taken <= self._limit_bytes * _LOW_WATER

    def _scan_is_due(self, size_bytes: int) -> bool:
        with self._lock:
            self._written_bytes += size_bytes
            if self._measured_bytes is None:
                return True
            if self._measured_bytes + self._written_bytes > self._limit_bytes:
                return True
            return self._written_bytes * _SCAN_SHARE >= self._limit_bytes

    def _evict(self) -> None:
        """Delete the least recently used files if the folder is above its limit."""
        entries = sorted(self._entries(), key=lambda entry: entry.used_at)
        total = sum(entry.size_bytes for entry in entries)
        if total > self._limit_bytes:
            for entry in entries:
                if total <= self._limit_bytes * _LOW_WATER:
                    break
                with suppress(OSError):
                    entry.path.unlink()
                total -= entry.size_bytes
        with self._lock:
            self._measured_bytes, self._written_bytes = total, 0
        measures.CACHE.labels(self.root.name).set(total)

    def _entries(self) -> Iterator[_Entry]:
        now = time.time()
        for path in self.root.glob("??/*"):
            try:
                status = path.stat()
                abandoned = now - status.st_mtime > _ABANDONED_S
                if path.name.startswith(_TEMPORARY) and abandoned:
                    path.unlink()
                    continue
            except OSError:
                continue  # another process was quicker
            yield _Entry(path, status.st_size, max(status.st_atime, status.st_mtime))


class RenditionCache(KeptFiles):
    """Kept pictures: each carries the digest of its content, compared whenever it is read."""

    def get_or_make(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return the content kept under `key`, or that of `make()`, which is then kept.

        What `make` raises passes through and nothing is kept. A damaged file is made again.
        """
        content = self.find(key)
        if content is None:
            content = make()
            self.put(key, content)
        return content

    def find(self, key: str) -> bytes | None:
        """Return the content kept under `key`; None where there is none or it is damaged."""
        return _read(self.path(key))

    def put(self, key: str, content: bytes) -> None:
        """Keep content under `key`."""
        self.keep(self.path(key), [hashlib.sha256(content).digest(), content])


def _read(path: Path) -> bytes | None:
    """Return the content of a whole, undamaged file, and mark it as used; else None."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        LOG.warning("a kept rendition is damaged and is made again")
        return None
    with suppress(OSError):
        os.utime(path)
    return content


def _write(path: Path, parts: list[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.writelines(parts)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
