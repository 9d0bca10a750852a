"""A drive as the archive's processes share it: a lock, when it was used, and what is in it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from archive_node.vault.durable import sync_folder
from archive_node.vault.library import locks


class Drive:
    """Drive `number` (from 1) with its device; its lock says that it is in use.

    `verified` is the volume whose own label was read since it was put in.
    """

    def __init__(self, folder: Path, number: int, device: str) -> None:
        self.number, self.device = number, device
        self.out_of_use_file = folder / f"{number}.out-of-use"
        self._table = folder / f"{number}.json"
        self._lock_file = folder / f"{number}.lock"
        self._handle: int | None = None
        self.verified, self.last_used_ns = "", 0
        self._look()

    @property
    def keeping(self) -> list[int]:
        """The handle of its lock, which the programs that use the drive hold too."""
        return [] if self._handle is None else [self._handle]

    @property
    def out_of_use(self) -> str:
        """Why it may not be used, or an empty string."""
        try:
            return self.out_of_use_file.read_text(encoding="utf-8").strip() or "out of use"
        except FileNotFoundError:
            return ""

    def put_out_of_use(self, why: str) -> None:
        """Let nobody use it until an operator removes the file that says so."""
        self.out_of_use_file.write_text(f"{why}\n", encoding="utf-8")
        sync_folder(self.out_of_use_file.parent)

    def take(self) -> bool:
        """Try to become its only user."""
        self._handle = locks.taken(self._lock_file)
        if self._handle is not None:
            self._look()  # as its last user left it
        return self._handle is not None

    def note_verified(self, label: str) -> None:
        """Note that the label of what is in it was read, or that it must be read (again)."""
        if self.verified != label:
            self.verified = label
            self._keep()

    def release(self) -> None:
        """Let another caller have it; the volume stays in."""
        self.last_used_ns = time.time_ns()
        self._keep()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _look(self) -> None:
        try:
            known = json.loads(self._table.read_text(encoding="utf-8"))
            self.verified, self.last_used_ns = str(known["verified"]), int(known["last_used_ns"])
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            self.verified, self.last_used_ns = "", 0

    def _keep(self) -> None:
        about = {"verified": self.verified, "last_used_ns": self.last_used_ns}
        own = self._table.with_name(f".{self._table.name}.{os.getpid()}.{time.monotonic_ns()}")
        own.write_text(json.dumps(about), encoding="utf-8")
        own.rename(self._table)  # not synced: after a power cut every label is read again
