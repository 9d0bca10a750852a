"""A library of volumes that are folders: what the virtual tape library and a disk share.

library.json        who this library is
locks/              held while a volume is chosen or written
inventory/          what was decided of each volume
A00001/             a volume (folder_volume.py)
"""

from __future__ import annotations

import json
import os
import uuid
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from archive_node.vault.base import (
    MemberExists,
    NeedsOperator,
    TooLarge,
    Vault,
    VaultUnavailable,
    Volume,
    VolumeState,
    Waiting,
    Writer,
    wait_quietly,
)
from archive_node.vault.durable import locked, sync_folder, write_durably
from archive_node.vault.folder_volume import FolderVolume
from archive_node.vault.inventory import DECISIONS, Inventory, Record
from archive_node.vault.names import LABEL, checked, label_after
from archive_node.vault_setting import BadSpec, VaultSpec
from pacs_common import errors
from pacs_common.sentences import say

POLL_S = 0.02


class FolderVault(Vault):
    """The library in `root`; new volumes hold `volume_bytes`.

    `mount` is the mount point on which it lies: where nothing is mounted there, the vault is
    refused. Its folders are made once, and a lock is a file in one of them: beneath a mount that
    vanished none of them is there, so nothing is ever written there.
    """

    rooms: tuple[str, ...] = ("locks", "inventory")

    def __init__(
        self, root: Path, *, volume_bytes: int, name: str = "", mount: Path | None = None
    ) -> None:
        self.root = root
        self._volume_bytes = volume_bytes
        self._mount_point = mount
        known_as, self.library_id = self._who()
        self.name = name or known_as
        self._inventory = Inventory(root / "inventory")
        for room in self.rooms:  # a library of the first archives has not all of them
            (root / room).mkdir(exist_ok=True)

    @classmethod
    def _make(cls, root: Path, name: str, mount: Path | None) -> None:
        """Make a library where there is none; raises VaultUnavailable where none may be made."""
        if mount is not None:
            _check_mounted(mount)
        root.mkdir(parents=True, exist_ok=True)
        for room in cls.rooms:
            (root / room).mkdir(exist_ok=True)
        with locked(root / "locks" / "library.lock"):
            if (root / "library.json").exists():
                return
            if volumes_in(root):
                raise VaultUnavailable(f"{root} holds volumes, but no library.json")
            write_durably(root / "library.json", {"name": name, "id": uuid.uuid4().hex})

    def offer_scratch(self) -> Self:
        """Make sure that there is a volume to be written, and return the library."""
        self._filling()
        return self

    def volumes(self) -> list[Volume]:
        """Return every volume, by label."""
        located = self._located()
        places = self._places(located)
        return [
            self._described(label, located.get(label), *places.get(label, (None, None)))
            for label in self._labels(located)
        ]

    def check_fits(self, size_bytes: int) -> None:
        """Raise TooLarge where even an empty volume could not hold a member of this size."""
        if size_bytes > self._volume_bytes:
            raise TooLarge(say("too-large", size_bytes=size_bytes, volume_bytes=self._volume_bytes))

    def append(
        self, member: str, size_bytes: int, write: Writer, waiting: Waiting = wait_quietly
    ) -> str:
        """Add a member to the filling volume, or to the next one where that has no room."""
        checked(member)
        self.check_fits(size_bytes)
        while True:
            with ExitStack() as stack:
                try:
                    volume = stack.enter_context(self._held_for_writing(self._filling(), waiting))
                except (errors.NotFound, NeedsOperator):
                    continue  # it was retired or shelved this very moment
                holder = self.find(member)
                if holder is not None:
                    raise MemberExists(f"{holder} holds {member} already")
                if self._inventory.of(volume.label).mark is None:
                    if volume.has_room_for(size_bytes):
                        volume.append(member, size_bytes, write)
                        return volume.label

    def find(self, member: str) -> str | None:
        """Return the label of the volume that holds a member of this name, or None."""
        checked(member)
        for label, folder in self._located().items():
            if (folder / member).exists() and not self._is_retired(label):
                return label
        return None

    def mark(self, label: str, state: VolumeState | None) -> None:
        """Keep beside the volumes what was decided of one."""
        if state is not None and state not in DECISIONS:
            raise errors.BadInput(f"nobody decides that a volume is {state}")
        with self._library_held():
            if label not in self._labels(self._located()):
                raise errors.NotFound(say("volume-unknown", vault=self.name, volume=label))
            self._inventory.keep(label, replace(self._inventory.of(label), mark=state))

    def shelve(self, label: str) -> None:
        """Refuse: there is no shelf."""
        raise errors.Unavailable(say("no-shelf", vault=self.name, vault_kind=self.kind))

    def insert(self, label: str, barcode: str, drive: int | None = None) -> None:
        """Refuse: there is no shelf."""
        raise errors.Unavailable(say("no-shelf", vault=self.name, vault_kind=self.kind))

    @abstractmethod
    def _held_for_writing(
        self, label: str, waiting: Waiting
    ) -> AbstractContextManager[FolderVolume]:
        """Hold a volume as its only writer."""

    def _who(self) -> tuple[str, str]:
        if self._mount_point is not None:
            _check_mounted(self._mount_point)
        try:
            who = json.loads((self.root / "library.json").read_text(encoding="utf-8"))
            return str(who["name"]), str(who["id"])
        except (FileNotFoundError, NotADirectoryError):
            raise VaultUnavailable(
                say("vault-not-there", folder=self.root, vault_kind=self.kind)
            ) from None
        except (KeyError, TypeError, ValueError):
            raise VaultUnavailable(f"{self.root}/library.json does not say who it is") from None
        except OSError as error:
            raise VaultUnavailable(f"{self.root}: {error.strerror}") from None

    def _check_same(self) -> None:
        """Raise VaultUnavailable where an empty folder would look like an empty vault."""
        if self._who()[1] != self.library_id:
            raise VaultUnavailable(say("vault-changed", folder=self.root, vault_kind=self.kind))

    @contextmanager
    def _library_held(self) -> Iterator[None]:
        """Let nobody else choose or move a volume."""
        self._check_same()
        with locked(self.root / "locks" / "library.lock"):
            yield

    def _located(self) -> dict[str, Path]:
        """Return the folders of the volumes that are there, by label in order."""
        self._check_same()
        return {label: self.root / label for label in volumes_in(self.root)}

    def _labels(self, located: dict[str, Path]) -> list[str]:
        """Return the labels of all volumes, also of those that are away."""
        return sorted({*located, *self._inventory.labels()})

    def _volume(self, folder: Path) -> FolderVolume:
        return FolderVolume(folder, self.name, self.library_id)

    def _places(self, located: dict[str, Path]) -> dict[str, tuple[int | None, int | None]]:
        """Return the drive and slot of each volume that has one."""
        return {}

    def _described(
        self, label: str, folder: Path | None, drive: int | None, slot: int | None
    ) -> Volume:
        record = self._inventory.of(label)
        if folder is None:
            missing = VolumeState.EXPORTED if record.shelved else VolumeState.SUSPECT
            return Volume(label, record.mark or missing, 0, 0, shelved=record.shelved)
        shelved = folder.parent != self.root
        return self._volume(folder).described(record.mark, drive, slot, shelved)

    def _readable(self, label: str) -> Path:
        """Return the folder of a volume that may be read here and now."""
        folder = self._located().get(label)
        record = self._inventory.of(label)
        if record.mark == VolumeState.RETIRED:
            raise errors.NotFound(say("volume-retired", volume=label, vault=self.name))
        if folder is None and record.shelved:
            raise NeedsOperator(self.name, label)
        if folder is None:
            raise errors.NotFound(say("volume-unknown", vault=self.name, volume=label))
        return folder

    def _is_retired(self, label: str) -> bool:
        return self._inventory.of(label).mark == VolumeState.RETIRED

    def _filling(self) -> str:
        with self._library_held():
            located = self._located()
            for label, folder in located.items():
                volume = self._volume(folder)
                if folder.parent != self.root or volume.is_closed:
                    continue
                if self._inventory.of(label).mark is None and volume.capacity_bytes is not None:
                    return label
            return self._label_next(located)

    def _slot_for_another(self, located: dict[str, Path]) -> int | None:
        """Return the slot of a volume that is to be added; raises VaultFull."""
        return None

    def _label_next(self, located: dict[str, Path]) -> str:
        slot = self._slot_for_another(located)
        label = label_after(self._labels(located))
        folder = self.root / label
        folder.mkdir(exist_ok=True)  # a volume counts only once it has its LABEL
        sync_folder(self.root)
        write_durably(
            folder / "LABEL",
            {
                "label": label,
                "library": self.library_id,
                "capacity_bytes": self._volume_bytes,
                "labelled_at": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
        self._inventory.keep(label, Record(slot=slot))
        return label


def mount_of(spec: VaultSpec) -> Path | None:
    """Return the mount point that a setting names; raises BadSpec where the place is not on it."""
    written = spec.text("mount")
    if not written:
        return None
    mount = Path(written)
    if not mount.is_absolute() or not Path(os.path.abspath(spec.place)).is_relative_to(mount):
        raise BadSpec(f"{spec.name}: {spec.place} does not lie on mount={written}")
    return mount


def _check_mounted(mount: Path) -> None:
    if not os.path.ismount(mount):
        raise VaultUnavailable(say("vault-not-mounted", folder=mount))


def volumes_in(folder: Path) -> list[str]:
    """Return the labels of the volumes in a folder; one that has lost its LABEL is one too."""
    try:
        names = sorted(name for name in os.listdir(folder) if LABEL.match(name))
    except FileNotFoundError:
        return []
    return [name for name in names if _is_volume(folder / name)]


def _is_volume(folder: Path) -> bool:
    if (folder / "LABEL").exists():
        return True
    return folder.is_dir() and any(not name.startswith(".") for name in os.listdir(folder))
