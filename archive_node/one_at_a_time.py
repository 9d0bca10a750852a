"""One process at a time for what beat asks for again before it is done."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


class Busy(Exception):
    """Another process does this now."""


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Run a block that no other process of this host runs; raises Busy where one does.

    The kernel frees the lock of a process that was killed.
    """
    folder = settings.ARCHIVE.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{what}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(what) from None
        yield
