"""A folder that behaves like a tape library: numbered volumes, few drives, a shelf, append only.

drives/1.json, 1.lock   which volume is in which drive
shelf/A00007/           a volume that an operator must bring back
The rest is that of every library of folders (folders.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from archive_node.vault.base import (
    NeedsOperator,
    VaultFull,
    Waiting,
    Writer,
    WrongVolume,
    wait_quietly,
)
from archive_node.vault.drive import Drive
from archive_node.vault.durable import sync_folder
from archive_node.vault.folder_volume import FolderVolume
from archive_node.vault.folders import POLL_S, FolderVault, mount_of, volumes_in
from archive_node.vault_setting import VaultDefaults, VaultSpec
from pacs_common import errors
from pacs_common.sentences import say


class TapeLibrary(FolderVault):
    """The library in `root`, with `drives` drives and `slots` slots (0: as many as it takes).

    A drive takes `mount_s` to make a volume readable, `eject_s` to give it back, and `seek_s` to
    find a member on it.
    """

    kind = "tape library"
    rooms = (*FolderVault.rooms, "drives", "shelf")

    def __init__(
        self,
        root: Path,
        *,
        drives: int,
        volume_bytes: int,
        slots: int = 0,
        mount_s: float = 0,
        seek_s: float = 0,
        eject_s: float = 0,
        **about: Any,
    ) -> None:
        super().__init__(root, volume_bytes=volume_bytes, **about)
        self.drives = drives
        self._slots = slots
        self._mount_s, self._seek_s, self._eject_s = mount_s, seek_s, eject_s
        self._shelf = root / "shelf"

    @classmethod
    def at(cls, spec: VaultSpec, defaults: VaultDefaults) -> TapeLibrary:
        """Return the library at a folder; for the options see docs/vaults.md."""
        return cls(Path(spec.place), name=spec.name, **_options(spec, defaults))

    @classmethod
    def create_at(cls, spec: VaultSpec, defaults: VaultDefaults) -> TapeLibrary:
        """Return it, made where there is none."""
        return cls.create(Path(spec.place), name=spec.name, **_options(spec, defaults))

    @classmethod
    def create(cls, root: Path, *, name: str, **options: Any) -> TapeLibrary:
        """Return the library in `root`, made with one scratch volume where there is none."""
        cls._make(root, name, options.get("mount"))
        return cls(root, name=name, **options).offer_scratch()

    @contextmanager
    def warm(self, label: str, waiting: Waiting = wait_quietly) -> Iterator[TapeVolume]:
        """Mount a volume, in the drive that was idle longest, and hold it."""
        drive = self._mounted(label, waiting)
        try:
            seek = partial(_spend, self._seek_s, waiting)
            yield TapeVolume(self.root / label, self.name, self.library_id, seek)
        finally:
            drive.release()

    _held_for_writing = warm

    def shelve(self, label: str) -> None:
        """Put a volume on the shelf: out of its drive, out of its slot."""
        with self._library_held():
            folder = self._located().get(label)
            record = self._inventory.of(label)
            if folder is None and not record.shelved:
                raise errors.NotFound(say("volume-unknown", vault=self.name, volume=label))
            if folder is None or folder.parent == self._shelf:
                return
            holding = [drive for drive in self._drives() if drive.label == label]
            if not all(drive.take() for drive in holding):
                raise errors.Unavailable(say("volume-in-use", volume=label, vault=self.name))
            self._inventory.keep(label, replace(record, slot=None, shelved=True))
            self._move(folder, self._shelf)
            for drive in holding:
                drive.unload()
                drive.release()

    def insert(self, label: str, barcode: str, drive: int | None = None) -> None:
        """Take a volume from the shelf into a slot, and into a drive where one is named."""
        if drive is not None and not 1 <= drive <= self.drives:
            raise errors.BadInput(say("drive-unknown", vault=self.name, drive=drive))
        if barcode.strip() != label:
            raise WrongVolume(say("inserted-other", barcode=barcode.strip()[:40], volume=label))
        with self._library_held():
            located = self._located()
            if label not in self._labels(located):
                raise errors.NotFound(say("volume-unknown", vault=self.name, volume=label))
            folder = located.get(label)
            if folder is None:
                raise WrongVolume(say("inserted-nothing", volume=label, folder=self._shelf))
            if folder.parent == self._shelf:
                self._take_back(label, folder, located, drive)

    def _take_back(
        self, label: str, folder: Path, located: dict[str, Path], drive: int | None
    ) -> None:
        if FolderVolume(folder, self.name, self.library_id).capacity_bytes is None:
            raise WrongVolume(say("inserted-strange", folder=folder, volume=label))
        slot = self._slot_for_another(located)
        chosen = None if drive is None else Drive(self.root / "drives", drive)
        if chosen is not None and not chosen.take():
            raise errors.Unavailable(say("drive-in-use", drive=drive, vault=self.name))
        self._move(folder, self.root)
        self._inventory.keep(label, replace(self._inventory.of(label), slot=slot, shelved=False))
        if chosen is not None:
            chosen.load(label)
            chosen.release()

    def _located(self) -> dict[str, Path]:
        located = super()._located()
        shelved = {label: self._shelf / label for label in volumes_in(self._shelf)}
        return dict(sorted({**shelved, **located}.items()))

    def _readable(self, label: str) -> Path:
        folder = super()._readable(label)
        if folder.parent == self._shelf:
            raise NeedsOperator(self.name, label)
        return folder

    def _places(self, located: dict[str, Path]) -> dict[str, tuple[int | None, int | None]]:
        mounted = {drive.label: drive.number for drive in self._drives()}
        slots = self._slots_taken(located)
        return {label: (mounted.get(label), slot) for label, slot in slots.items()}

    def _slots_taken(self, located: dict[str, Path]) -> dict[str, int]:
        """Return the slots of the volumes here; one without a record has the lowest free."""
        here = [label for label, folder in located.items() if folder.parent == self.root]
        slots = {label: slot for label in here if (slot := self._inventory.of(label).slot)}
        for label in here:
            slots.setdefault(label, _lowest_free(slots.values()))
        return slots

    def _slot_for_another(self, located: dict[str, Path]) -> int:
        taken = self._slots_taken(located).values()
        if self._slots and len(taken) >= self._slots:
            raise VaultFull(say("slots-taken", slots_count=self._slots, vault=self.name))
        return _lowest_free(taken)

    def _drives(self) -> list[Drive]:
        return [Drive(self.root / "drives", number + 1) for number in range(self.drives)]

    def _mounted(self, label: str, waiting: Waiting) -> Drive:
        while True:
            with self._library_held():
                self._readable(label)
                drive = self._free_drive(label)
                held_another = drive.load(label) if drive else False
            if drive is not None:
                self._threaded(drive, held_another, waiting)
                return drive
            waiting()
            time.sleep(POLL_S)

    def _free_drive(self, label: str) -> Drive | None:
        drives = self._drives()
        holding = [drive for drive in drives if drive.label == label]
        candidates = holding or sorted(drives, key=lambda drive: drive.last_used_ns)
        return next((drive for drive in candidates if drive.take()), None)

    def _threaded(self, drive: Drive, held_another: bool, waiting: Waiting) -> None:
        """Wait until the drive has given back what it held and can read what it holds."""
        if drive.is_ready:
            return
        try:
            _spend(self._eject_s if held_another else 0, waiting)
            _spend(self._mount_s, waiting)
            drive.ready()
        except BaseException:
            drive.release()
            raise

    def _move(self, folder: Path, to: Path) -> None:
        folder.rename(to / folder.name)
        sync_folder(to)
        sync_folder(folder.parent)


class TapeVolume(FolderVolume):
    """A mounted volume: `seek` takes the time that the drive needs to find a member."""

    def __init__(
        self, folder: Path, vault: str, library_id: str, seek: Callable[[], None] = wait_quietly
    ) -> None:
        super().__init__(folder, vault, library_id)
        self._seek = seek

    def open(self, member: str) -> IO[bytes]:
        """Return a reader of a member, once the drive is there."""
        self._seek()
        return super().open(member)

    def append(self, member: str, size_bytes: int, write: Writer) -> None:
        """Write a member, once the drive is at the end."""
        self._seek()
        super().append(member, size_bytes, write)


def _spend(seconds: float, waiting: Waiting) -> None:
    """Let time pass in small steps."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        waiting()
        time.sleep(min(left, POLL_S))


def _lowest_free(taken: Any) -> int:
    slots = set(taken)
    return next(slot for slot in range(1, len(slots) + 2) if slot not in slots)


def _options(spec: VaultSpec, defaults: VaultDefaults) -> dict[str, Any]:
    spec.only("drives", "volume", "slots", "mount", "mount_s", "seek_s", "eject_s")
    return {
        "drives": int(spec.number("drives", defaults.drives, low=1)),
        "volume_bytes": spec.size("volume", defaults.volume_bytes, low=1000),
        "slots": int(spec.number("slots", 0)),
        "mount": mount_of(spec),
        **{name: spec.number(name, 0) for name in ("mount_s", "seek_s", "eject_s")},
    }
