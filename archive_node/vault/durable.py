"""Files and folders that outlive a power cut, and locks that do not outlive their holder."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(target: Path, content: object) -> None:
    """Write JSON under its final name, whole or not at all."""
    replace_durably(target, json.dumps(content, ensure_ascii=False).encode())


def replace_durably(target: Path, content: bytes) -> None:
    """Write bytes under their final name, whole or not at all."""
    own = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        with own.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        own.rename(target)
    finally:
        own.unlink(missing_ok=True)
    sync_folder(target.parent)


class FileLock:
    """A lock among all threads and processes; the system frees it where its holder dies."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle: int | None = None

    def take(self) -> bool:
        """Try to become its only holder."""
        return self._flock(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def wait(self) -> None:
        """Become its only holder, however long that takes."""
        self._flock(fcntl.LOCK_EX)

    def release(self) -> None:
        """Let another have it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _flock(self, how: int) -> bool:
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, how)
        except BlockingIOError:
            os.close(handle)
            return False
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True


@contextmanager
def locked(lock_file: Path) -> Iterator[None]:
    """Hold a lock among all threads and processes for as long as the `with` lasts."""
    lock = FileLock(lock_file)
    lock.wait()
    try:
        yield
    finally:
        lock.release()
