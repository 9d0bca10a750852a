"""A library in an S3-compatible store.

library.json            who this library is
marks/A00001/suspect    what was decided of a volume
A00001/                 a volume (volume.py)

One archive writes it: its processes keep each other off by locks in the archive's own folder.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from archive_node.vault.base import (
    MemberExists,
    TooLarge,
    Vault,
    VaultUnavailable,
    Volume,
    VolumeState,
    Waiting,
    Writer,
    wait_quietly,
)
from archive_node.vault.durable import FileLock, locked
from archive_node.vault.inventory import DECISIONS
from archive_node.vault.names import LABEL, checked, label_after
from archive_node.vault.s3 import options
from archive_node.vault.s3.options import Options
from archive_node.vault.s3.store import Store, ThereAlready
from archive_node.vault.s3.volume import ObjectVolume
from archive_node.vault_setting import VaultDefaults, VaultSpec
from pacs_common import errors
from pacs_common.sentences import say

POLL_S = 0.02


class ObjectVault(Vault):
    """The volumes of a bucket below a prefix: no drives to wait for, no shelf."""

    kind = "object store"
    drives = 0

    def __init__(self, name: str, read: Options, state_dir: Path) -> None:
        self.name = name
        self._store = Store(read)
        self._volume_bytes = read.volume_bytes
        who = self._store.read_json("library.json")
        if who is None or not isinstance(who.get("id"), str):
            raise VaultUnavailable(f"{self._store.place} holds no library of volumes")
        self.library_id: str = who["id"]
        self._locks = state_dir / name / "locks"
        self._kept = state_dir / name / self.library_id
        self._locks.mkdir(parents=True, exist_ok=True)

    @classmethod
    def at(cls, spec: VaultSpec, defaults: VaultDefaults) -> ObjectVault:
        """Return the vault below a prefix; for the options see docs/vaults.md."""
        return cls(spec.name, options.read(spec, defaults), defaults.state_dir)

    @classmethod
    def create_at(cls, spec: VaultSpec, defaults: VaultDefaults) -> ObjectVault:
        """Return it, made in its bucket where there is none; the bucket itself is never made."""
        read = options.read(spec, defaults)
        store = Store(read)
        if store.read_json("library.json") is None:
            if any(LABEL.match(name) for name in store.folders()):
                raise VaultUnavailable(f"{store.place} holds volumes, but no library.json")
            try:
                store.write_json(
                    "library.json", {"name": spec.name, "id": uuid.uuid4().hex}, once=True
                )
            except ThereAlready:
                pass  # another process was first
        vault = cls(spec.name, read, defaults.state_dir)
        vault._filling()
        return vault

    def volumes(self) -> list[Volume]:
        """Return every volume, by label."""
        marks = self._marks()
        return [self._volume(label).described(marks.get(label)) for label in self._labels()]

    def check_fits(self, size_bytes: int) -> None:
        """Raise TooLarge where even an empty volume could not hold a member of this size."""
        if size_bytes > self._volume_bytes:
            raise TooLarge(say("too-large", size_bytes=size_bytes, volume_bytes=self._volume_bytes))

    @contextmanager
    def warm(self, label: str, waiting: Waiting = wait_quietly) -> Iterator[ObjectVolume]:
        """Give a volume to read; nobody waits."""
        if not LABEL.match(label) or label not in self._labels():
            raise errors.NotFound(say("volume-unknown", vault=self.name, volume=label))
        if self._marks().get(label) == VolumeState.RETIRED:
            raise errors.NotFound(say("volume-retired", volume=label, vault=self.name))
        yield self._volume(label)

    def append(
        self, member: str, size_bytes: int, write: Writer, waiting: Waiting = wait_quietly
    ) -> str:
        """Add a member to the filling volume, or to the next one where that has no room."""
        checked(member)
        self.check_fits(size_bytes)
        while True:
            label = self._filling()
            with self._only_writer(label, waiting):
                holder = self.find(member)
                if holder is not None:
                    raise MemberExists(f"{holder} holds {member} already")
                volume = self._volume(label)
                if label not in self._marks() and volume.has_room_for(size_bytes):
                    volume.append(member, size_bytes, write)
                    return label

    def find(self, member: str) -> str | None:
        """Return the label of the volume that holds a member of this name, or None."""
        checked(member)
        marks = self._marks()
        for label in self._labels():
            if marks.get(label) != VolumeState.RETIRED and self._volume(label).holds(member):
                return label
        return None

    def mark(self, label: str, state: VolumeState | None) -> None:
        """Keep in the store what was decided of a volume."""
        if state is not None and state not in DECISIONS:
            raise errors.BadInput(f"nobody decides that a volume is {state}")
        with self._library_held():
            if label not in self._labels():
                raise errors.NotFound(say("volume-unknown", vault=self.name, volume=label))
            if state is not None:
                decided_at = datetime.now(UTC).isoformat(timespec="seconds")
                self._store.write_json(f"marks/{label}/{state}", {"decided_at": decided_at})
            for other in DECISIONS:
                if other != state:
                    self._store.delete(f"marks/{label}/{other}")

    def shelve(self, label: str) -> None:
        """Refuse: there is no shelf."""
        raise errors.Unavailable(say("no-shelf", vault=self.name, vault_kind=self.kind))

    def insert(self, label: str, barcode: str, drive: int | None = None) -> None:
        """Refuse: there is no shelf."""
        raise errors.Unavailable(say("no-shelf", vault=self.name, vault_kind=self.kind))

    def _volume(self, label: str) -> ObjectVolume:
        return ObjectVolume(self._store, self.name, self.library_id, label, self._kept)

    def _labels(self) -> list[str]:
        return sorted(name for name in self._store.folders() if LABEL.match(name))

    def _marks(self) -> dict[str, VolumeState]:
        """Return what was decided, by label; of two decisions the graver stands."""
        marks: dict[str, VolumeState] = {}
        for found in self._store.listed("marks/"):
            _, label, state = found.key.split("/")
            if state in DECISIONS and marks.get(label) != VolumeState.RETIRED:
                marks[label] = VolumeState(state)
        return marks

    def _filling(self) -> str:
        with self._library_held():
            labels, marks = self._labels(), self._marks()
            for label in labels:
                volume = self._volume(label)
                if label in marks or volume.closed() is not None:
                    continue
                if volume.capacity_bytes is not None:
                    return label
            return self._label_next(labels)

    def _label_next(self, labels: list[str]) -> str:
        label = label_after(labels)
        about = {
            "label": label,
            "library": self.library_id,
            "capacity_bytes": self._volume_bytes,
            "labelled_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._store.write_json(f"{label}/LABEL", about, once=True)
        return label

    @contextmanager
    def _library_held(self) -> Iterator[None]:
        with locked(self._locks / "library.lock"):
            yield

    @contextmanager
    def _only_writer(self, label: str, waiting: Waiting) -> Iterator[None]:
        lock = FileLock(self._locks / f"{label}.lock")
        while not lock.take():
            waiting()
            time.sleep(POLL_S)
        try:
            yield
        finally:
            lock.release()
