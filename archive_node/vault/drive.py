"""A drive of the virtual library: it holds one volume and serves one caller at a time."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from archive_node.vault.durable import FileLock, locked, sync_folder, write_durably

__all__ = ["Drive", "locked", "sync_folder", "write_durably"]


class Drive:
    """Drive `number` of a library; its lock says that it is in use, its table what it holds."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self._table = folder / f"{number}.json"
        self._lock = FileLock(folder / f"{number}.lock")
        self._read()

    def take(self) -> bool:
        """Try to become its only user."""
        taken = self._lock.take()
        if taken:
            self._read()  # as its last user left it
        return taken

    def load(self, label: str) -> bool:
        """Put a volume in, in the place of the one that it held; return whether it held one.

        The volume is in this drive from now on, but to be read only once it is `ready`.
        """
        held_another = self.label is not None and self.label != label
        if self.label != label:
            self.label, self.is_ready, self.mounts = label, False, self.mounts + 1
            self._note()
        return held_another

    def ready(self) -> None:
        """Note that the volume has been threaded and can be read."""
        self.is_ready = True
        self._note()

    def unload(self) -> None:
        """Take the volume out."""
        self.label, self.is_ready = None, False
        self._note()

    def release(self) -> None:
        """Let another caller have it; the volume stays in."""
        self.last_used_ns = time.time_ns()
        self._note()
        self._lock.release()

    def _read(self) -> None:
        try:
            state = json.loads(self._table.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # a power cut may have emptied the table
            state = {}
        known = state if isinstance(state, dict) else {}
        self.label: str | None = known.get("label")
        self.is_ready: bool = known.get("is_ready", True)
        self.mounts: int = known.get("mounts", 0)
        self.last_used_ns: int = known.get("last_used_ns", 0)

    def _note(self) -> None:
        state = {
            "label": self.label,
            "is_ready": self.is_ready,
            "mounts": self.mounts,
            "last_used_ns": self.last_used_ns,
        }
        own = self._table.with_name(f".{self._table.name}.{os.getpid()}.{time.monotonic_ns()}")
        own.write_text(json.dumps(state), encoding="utf-8")
        own.rename(self._table)  # not synced: after a power cut every drive is simply empty
