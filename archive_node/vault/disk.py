"""A folder on another disk or NAS: volumes as on tape, read freely, written by one at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archive_node.vault.base import Waiting, wait_quietly
from archive_node.vault.durable import FileLock
from archive_node.vault.folder_volume import FolderVolume
from archive_node.vault.folders import POLL_S, FolderVault, mount_of
from archive_node.vault_setting import VaultDefaults, VaultSpec


class DiskVault(FolderVault):
    """The volumes in `root`: no drives to wait for, no shelf."""

    kind = "disk"
    drives = 0

    @classmethod
    def at(cls, spec: VaultSpec, defaults: VaultDefaults) -> DiskVault:
        """Return the vault in a folder; for the options see docs/vaults.md."""
        return cls(Path(spec.place), name=spec.name, **_options(spec, defaults))

    @classmethod
    def create_at(cls, spec: VaultSpec, defaults: VaultDefaults) -> DiskVault:
        """Return it, made where there is none; never where its mount is missing."""
        options = _options(spec, defaults)
        cls._make(Path(spec.place), spec.name, options["mount"])
        return cls(Path(spec.place), name=spec.name, **options).offer_scratch()

    @contextmanager
    def warm(self, label: str, waiting: Waiting = wait_quietly) -> Iterator[FolderVolume]:
        """Give a volume to read; nobody waits."""
        yield self._volume(self._readable(label))

    @contextmanager
    def _held_for_writing(self, label: str, waiting: Waiting) -> Iterator[FolderVolume]:
        lock = FileLock(self.root / "locks" / f"{label}.lock")
        while not lock.take():
            waiting()
            time.sleep(POLL_S)
        try:
            yield self._volume(self._readable(label))
        finally:
            lock.release()


def _options(spec: VaultSpec, defaults: VaultDefaults) -> dict[str, Any]:
    spec.only("volume", "mount")
    return {
        "volume_bytes": spec.size("volume", defaults.volume_bytes, low=1000),
        "mount": mount_of(spec),
    }
