"""Locks among all processes, whose handles the programs that are run may hold too.

Should the archive's process die while such a program still moves a tape, the lock stays until the
program has ended.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archive_node.vault.base import Waiting

POLL_S = 0.02


def taken(lock_file: Path) -> int | None:
    """Return the handle of a lock, or None while another holds it; `os.close` frees it."""
    handle = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextmanager
def held(lock_file: Path, waiting: Waiting) -> Iterator[int]:
    """Hold a lock, waiting for it as `Vault.warm` waits; yields its handle."""
    while (handle := taken(lock_file)) is None:
        waiting()
        time.sleep(POLL_S)
    try:
        yield handle
    finally:
        os.close(handle)
