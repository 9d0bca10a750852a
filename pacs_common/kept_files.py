"""Small files that a role makes once and keeps: keys and secrets, whole or not there at all."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_once(target: Path, content: bytes, mode: int) -> None:
    """Create `target` durably unless it exists; several processes may be first at once."""
    try:
        _written(target, content, mode, os.link)
    except FileExistsError:
        pass  # another process was first: what it wrote is whole


def replace(target: Path, content: bytes, mode: int) -> None:
    """Create or replace `target` durably; a reader sees the old content or the new one."""
    _written(target, content, mode, os.replace)


def mark(file: Path) -> object:
    """Return what tells one content of a file that is replaced from the next; None for no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one of the processes that ask so to change what lies in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which gives the lock back


def _written(
    target: Path, content: bytes, mode: int, settle: Callable[[Path, Path], object]
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    own = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # an empty key after a power cut would lock everyone out
        settle(own, target)
    finally:
        own.unlink(missing_ok=True)
