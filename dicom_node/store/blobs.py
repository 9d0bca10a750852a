"""Bytes on disk: whole, synced and under their final name, or not there at all (custody rule 1)."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_node.store import writeback
from dicom_node.store.layout import PARTIAL, is_partial
from pacs_common.errors import DiskFull, Unavailable

CHUNK_BYTES = 1 << 20
EARLY_BYTES = 1 << 17  # that many new ones are sent to the disk while others still come
_FULL = {errno.ENOSPC, errno.EDQUOT}


class AlreadyThere(Exception):
    """A file of that final name exists: nothing was written over it."""


def require_space(folder: Path, size_bytes: int, reserve_bytes: int) -> None:
    """Raise DiskFull where writing `size_bytes` would touch the reserve."""
    with disk_errors():
        disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free - size_bytes < reserve_bytes:
        raise DiskFull(f"{free >> 20} MiB are free and {reserve_bytes >> 20} MiB are reserved")


class Partial:
    """A file that is being written: it has no final name yet, and goes unless it gets one.

    Its lock tells others, in any process, that its writer lives: `sweep` leaves it alone, and
    nobody takes the file for his own (`held`) before it is closed.
    """

    def __init__(self, folder: Path) -> None:
        self.has_name = False
        self.size_bytes = self._on_its_way = 0
        with disk_errors():
            while not self._is_created(folder):
                os.close(self._handle)  # a sweep was faster than the lock

    def _is_created(self, folder: Path) -> bool:
        self.path = folder / f".{secrets.token_hex(8)}{PARTIAL}"
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        return os.fstat(self._handle).st_nlink > 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes; raises DiskFull, Unavailable."""
        with disk_errors():
            written = _write_chunk(self._handle, chunk)
        self.size_bytes += written
        if self.size_bytes - self._on_its_way >= EARLY_BYTES:
            writeback.begin(self._handle, self._on_its_way, self.size_bytes - self._on_its_way)
            self._on_its_way = self.size_bytes

    def sync(self) -> None:
        """Make the bytes durable, the name not yet."""
        with disk_errors():
            os.fdatasync(self._handle)

    def name(self, final: Path) -> None:
        """Give the file a final name, or another one; its folder is not synced yet.

        Raises AlreadyThere where a file of that name exists: nothing is ever overwritten.
        """
        with disk_errors():
            try:
                os.link(self.path, final)
            except FileExistsError:
                raise AlreadyThere(final) from None
            former, self.path, self.has_name = self.path, final, True
            former.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take the file away under whatever name it has."""
        with disk_errors():
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file; it stays where it has its final name."""
        handle, self._handle = self._handle, -1
        if handle < 0:
            return
        try:
            if not self.has_name:
                self.path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def write(final: Path, chunks: Iterable[bytes]) -> int:
    """Write a file durably under `final` and return its size; its folder is not synced yet.

    Temporary name in the same folder, write, fdatasync, then the final name. The caller syncs
    the folder (`sync_folder`) before it answers for the file. Raises AlreadyThere, DiskFull,
    Unavailable.
    """
    partial = Partial(final.parent)
    try:
        with disk_errors():
            for chunk in chunks:
                partial.write(chunk)
        partial.sync()
        partial.name(final)
    finally:
        partial.close()
    return partial.size_bytes


def replace(final: Path, chunks: Iterable[bytes]) -> int:
    """Put a file durably in the place of another, and return its size: at any moment one of both.

    Raises DiskFull, Unavailable; the former file stays then.
    """
    partial = Partial(final.parent)
    try:
        for chunk in chunks:
            partial.write(chunk)
        partial.sync()
        with disk_errors():
            partial.path.replace(final)
        partial.has_name = True
    finally:
        partial.close()
    sync_folder(final.parent)
    return partial.size_bytes


@contextmanager
def held(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a file against its writer; False where it is not there (any more).

    With `wait` its writer is waited for, otherwise BlockingIOError tells that it lives.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(handle).st_nlink > 0
    finally:
        os.close(handle)


def sweep(folder: Path) -> int:
    """Remove what a killed process left half-written in a folder; return how many files."""
    removed = 0
    for partial in filter(is_partial, folder.iterdir()):
        try:
            handle = os.open(partial, os.O_RDONLY)
        except FileNotFoundError:
            continue  # it got its final name
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink(missing_ok=True)
            removed += 1
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(handle)
    return removed


def ensure_folder(folder: Path) -> None:
    """Make a folder, and its parents, whose names survive a power cut."""
    if folder.is_dir():
        return
    ensure_folder(folder.parent)
    with disk_errors():
        folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    with disk_errors():
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def locked(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a folder against other threads and processes that lock it too."""
    with disk_errors():
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


@contextmanager
def disk_errors():
    """Translate what the disk says: full is DiskFull, any other failure is Unavailable."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull("the disk is full") from error
        raise Unavailable(f"the disk does not take it: {error.strerror}") from error


def write_all(handle: int, chunks: Iterable[bytes]) -> int:
    """Write every byte to an open descriptor, sync the data, and return their number."""
    size = sum(_write_chunk(handle, chunk) for chunk in chunks)
    os.fdatasync(handle)
    return size


def _write_chunk(handle: int, chunk: bytes | memoryview) -> int:
    size = os.write(handle, chunk)
    while size < len(chunk):
        size += os.write(handle, memoryview(chunk)[size:])
    return size
