"""Bytes on disk: whole, synced and under their final name, or not there at all (custody rule 1)."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_node.store.layout import PARTIAL, is_partial
from pacs_common.errors import DiskFull, Unavailable

CHUNK_BYTES = 1 << 20
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


def write(final: Path, chunks: Iterable[bytes]) -> int:
    """Write a file durably under `final` and return its size; its folder is not synced yet.

    Temporary name in the same folder, write, fdatasync, then the final name. The caller syncs
    the folder (`sync_folder`) before it answers for the file. Raises AlreadyThere, DiskFull,
    Unavailable.
    """
    partial = final.with_name(f".{final.name}.{secrets.token_hex(4)}{PARTIAL}")
    with disk_errors():
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # `sweep` leaves it alone until it has its name
            size = write_all(handle, chunks)
            os.link(partial, final)
        except FileExistsError:
            raise AlreadyThere(final) from None
        finally:
            partial.unlink(missing_ok=True)
            os.close(handle)
    return size


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
    size = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            written = os.write(handle, view[:CHUNK_BYTES])
            view = view[written:]
            size += written
    os.fdatasync(handle)
    return size
