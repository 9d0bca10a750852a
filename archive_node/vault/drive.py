"""A drive of the virtual library: it holds one volume and serves one caller at a time."""

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
    own = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    with own.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    own.rename(target)
    sync_folder(target.parent)


@contextmanager
def locked(lock_file: Path) -> Iterator[None]:
    """Hold a lock among all processes; the system frees it where its holder dies."""
    handle = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Drive:
    """Drive `number` of a library; its lock says that it is in use, its table what it holds."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self._table = folder / f"{number}.json"
        self._lock_file = folder / f"{number}.lock"
        self._handle: int | None = None
        try:
            state = json.loads(self._table.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # a power cut may have emptied the table
            state = {}
        known = state if isinstance(state, dict) else {}
        self.label: str | None = known.get("label")
        self.mounts: int = known.get("mounts", 0)
        self.last_used_ns: int = known.get("last_used_ns", 0)

    def take(self) -> bool:
        """Try to become its only user."""
        handle = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def mount(self, label: str) -> None:
        """Put a volume into this drive, in the place of the one that it held."""
        if self.label != label:
            self.label, self.mounts = label, self.mounts + 1
            self._note()

    def release(self) -> None:
        """Let another caller have it; the volume stays in."""
        self.last_used_ns = time.time_ns()
        self._note()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _note(self) -> None:
        state = {"label": self.label, "mounts": self.mounts, "last_used_ns": self.last_used_ns}
        own = self._table.with_name(f".{self._table.name}.{os.getpid()}.{time.monotonic_ns()}")
        own.write_text(json.dumps(state), encoding="utf-8")
        own.rename(self._table)  # not synced: after a power cut every drive is simply empty
