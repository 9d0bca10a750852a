"""A directory that behaves like a tape library: numbered volumes, few drives, append only.

library.json        who this library is
library.lock        held while a drive or a volume is chosen
drives/1.json, 1.lock
A00001/LABEL        label, capacity, date
A00001/FULL         present where nothing more is appended
A00001/.partial/    what is being written; never a member
A00001/CT/<study uid>/r60-1.tar
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from archive_node.vault.base import (
    MemberExists,
    MountedVolume,
    TooLarge,
    Vault,
    VaultUnavailable,
    Volume,
    VolumeState,
    Waiting,
    Writer,
    wait_quietly,
)
from archive_node.vault.drive import Drive, locked, sync_folder, write_durably
from archive_node.vault_setting import VaultDefaults, VaultSpec
from pacs_common import errors

POLL_S = 0.02
_LABEL = re.compile(r"A[0-9]{5}\Z")
_MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")


class TapeLibrary(Vault):
    """The library in `root`, with `drives` drives; new volumes hold `volume_bytes`."""

    kind = "tape library"

    def __init__(self, root: Path, *, drives: int, volume_bytes: int) -> None:
        self.root = root
        self.drives = drives
        self._volume_bytes = volume_bytes
        try:
            who = json.loads((root / "library.json").read_text(encoding="utf-8"))
            self.name, self.library_id = str(who["name"]), str(who["id"])
        except (FileNotFoundError, NotADirectoryError):
            raise VaultUnavailable(f"{root} holds no tape library (is it mounted?)") from None
        except (KeyError, TypeError, ValueError):
            raise VaultUnavailable(f"{root}/library.json does not say who it is") from None

    @classmethod
    def at(cls, spec: VaultSpec, defaults: VaultDefaults) -> TapeLibrary:
        """Return the library at a folder; options: drives, volume."""
        return cls(Path(spec.place), **_options(spec, defaults))

    @classmethod
    def create_at(cls, spec: VaultSpec, defaults: VaultDefaults) -> TapeLibrary:
        """Return it, made where there is none."""
        return cls.create(Path(spec.place), name=spec.name, **_options(spec, defaults))

    @classmethod
    def create(cls, root: Path, *, name: str, drives: int, volume_bytes: int) -> TapeLibrary:
        """Return the library in `root`, made with one scratch volume where there is none."""
        (root / "drives").mkdir(parents=True, exist_ok=True)
        with locked(root / "library.lock"):
            if not (root / "library.json").exists():
                write_durably(root / "library.json", {"name": name, "id": uuid.uuid4().hex})
        library = cls(root, drives=drives, volume_bytes=volume_bytes)
        library._filling()
        return library

    def volumes(self) -> list[Volume]:
        """Return every volume, by label."""
        mounted = {drive.label: drive.number for drive in self._drives()}
        return [
            TapeVolume(self.root / label).described(mounted.get(label)) for label in self._labels()
        ]

    def check_fits(self, size_bytes: int) -> None:
        """Raise TooLarge where even an empty volume could not hold a member of this size."""
        if size_bytes > self._volume_bytes:
            raise TooLarge(
                f"{size_bytes} bytes do not fit on a volume of {self._volume_bytes} bytes"
            )

    @contextmanager
    def warm(self, label: str, waiting: Waiting = wait_quietly) -> Iterator[TapeVolume]:
        """Mount a volume, in the drive that was idle longest, and hold it."""
        if label not in self._labels():
            raise errors.NotFound(f"{self.name} has no volume {label}")
        drive = self._mount(label, waiting)
        try:
            yield TapeVolume(self.root / label)
        finally:
            drive.release()

    def append(
        self, member: str, size_bytes: int, write: Writer, waiting: Waiting = wait_quietly
    ) -> str:
        """Add a member to the filling volume, or to the next one where that has no room."""
        self.check_fits(size_bytes)
        while True:
            with self.warm(self._filling(), waiting) as volume:
                holder = self.find(member)
                if holder is not None:
                    raise MemberExists(f"{holder} holds {member} already")
                if volume.has_room_for(size_bytes):
                    volume.append(member, size_bytes, write)
                    return volume.label

    def find(self, member: str) -> str | None:
        """Return the label of the volume that holds a member of this name, or None."""
        for label in self._labels():
            if TapeVolume(self.root / label).size_of(member) is not None:
                return label
        return None

    def mark(self, label: str, state: VolumeState | None) -> None:
        """See Vault.mark."""
        raise errors.Unavailable(f"{self.name} keeps no marks")

    def shelve(self, label: str) -> None:
        """See Vault.shelve."""
        raise errors.Unavailable(f"{self.name} has no shelf")

    def insert(self, label: str, barcode: str, drive: int | None = None) -> None:
        """See Vault.insert."""
        raise errors.Unavailable(f"{self.name} has no shelf")

    def _labels(self) -> list[str]:
        folders = (entry.name for entry in os.scandir(self.root) if entry.is_dir())
        return sorted(
            name for name in folders if _LABEL.match(name) and (self.root / name / "LABEL").exists()
        )

    def _drives(self) -> list[Drive]:
        return [Drive(self.root / "drives", number + 1) for number in range(self.drives)]

    def _mount(self, label: str, waiting: Waiting) -> Drive:
        while True:
            with locked(self.root / "library.lock"):
                drive = self._free_drive(label)
                if drive is not None:
                    drive.mount(label)
                    return drive
            waiting()
            time.sleep(POLL_S)

    def _free_drive(self, label: str) -> Drive | None:
        drives = self._drives()
        holding = [drive for drive in drives if drive.label == label]
        candidates = holding or sorted(drives, key=lambda drive: drive.last_used_ns)
        return next((drive for drive in candidates if drive.take()), None)

    def _filling(self) -> str:
        with locked(self.root / "library.lock"):
            labels = self._labels()
            for label in labels:
                if not (self.root / label / "FULL").exists():
                    return label
            return self._label_next(labels)

    def _label_next(self, labels: list[str]) -> str:
        label = f"A{int(labels[-1][1:]) + 1 if labels else 1:05}"
        folder = self.root / label
        folder.mkdir(exist_ok=True)  # a volume counts only once it has its LABEL
        write_durably(
            folder / "LABEL",
            {
                "label": label,
                "library": self.library_id,
                "capacity_bytes": self._volume_bytes,
                "labelled_at": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
        sync_folder(self.root)
        return label


def _options(spec: VaultSpec, defaults: VaultDefaults) -> dict[str, int]:
    spec.only("drives", "volume")
    return {
        "drives": int(spec.number("drives", defaults.drives, low=1)),
        "volume_bytes": spec.size("volume", defaults.volume_bytes, low=1000),
    }


class TapeVolume(MountedVolume):
    """One volume's folder; to be written only by who has it mounted."""

    def __init__(self, folder: Path) -> None:
        self.label = folder.name
        self._folder = folder
        self._full = folder / "FULL"

    @property
    def capacity_bytes(self) -> int:
        """Return what its label says that it holds at most."""
        try:
            label = json.loads((self._folder / "LABEL").read_text(encoding="utf-8"))
            return int(label["capacity_bytes"])
        except (KeyError, TypeError, ValueError):
            raise VaultUnavailable(f"the label of {self.label} cannot be read") from None

    @property
    def used_bytes(self) -> int:
        """Return what its members take."""
        if self._full.exists():
            return json.loads(self._full.read_text(encoding="utf-8"))["used_bytes"]
        return sum(
            (Path(folder) / name).stat().st_size
            for folder, _, names in os.walk(self._folder)
            for name in names
            if name.endswith(".tar") and not folder.endswith(".partial")
        )

    def described(self, drive: int | None) -> Volume:
        """Return it as the interface describes volumes."""
        used = self.used_bytes
        state = VolumeState.FILLING if used else VolumeState.SCRATCH
        if self._full.exists():
            state = VolumeState.FULL
        return Volume(self.label, state, used, self.capacity_bytes, drive)

    def has_room_for(self, size_bytes: int) -> bool:
        """Return whether a member of this size fits; where it does not, the volume is now full."""
        if self._full.exists():
            return False
        used = self.used_bytes
        if used + size_bytes <= self.capacity_bytes:
            return True
        write_durably(self._full, {"used_bytes": used})
        return False

    def append(self, member: str, size_bytes: int, write: Writer) -> None:
        """Write a member and make it durable: bytes first, then its name."""
        target = self._path(member)
        partial = self._cleared_partial() / "member"
        try:
            with partial.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
                if file.tell() != size_bytes:
                    raise ValueError(f"{member}: {file.tell()} bytes written, not {size_bytes}")
            self._make_folders(target.parent)
            partial.rename(target)
            sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)

    def open(self, member: str) -> IO[bytes]:
        """Return a reader; cached pages are dropped first, so that the medium itself is read."""
        try:
            file = self._path(member).open("rb")
        except FileNotFoundError:
            raise errors.NotFound(f"volume {self.label} has no {member}") from None
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file

    def members(self) -> list[str]:
        """Return its members' names, in the order in which they were written."""
        found = [
            (path.stat().st_mtime_ns, str(path.relative_to(self._folder)))
            for path in self._folder.rglob("*.tar")
            if ".partial" not in path.parts
        ]
        return [name for _, name in sorted(found)]

    def size_of(self, member: str) -> int | None:
        """Return a member's size in bytes, or None."""
        try:
            return self._path(member).stat().st_size
        except FileNotFoundError:
            return None

    def settle(self, member: str) -> None:
        """Sync a member and every folder above it, up to the library's own."""
        path = self._path(member)
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise errors.NotFound(f"volume {self.label} has no {member}") from None
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        folder = path.parent
        while folder != self._folder.parent:
            sync_folder(folder)
            folder = folder.parent
        sync_folder(folder)

    def _path(self, member: str) -> Path:
        if not _MEMBER.match(member) or not member.endswith(".tar"):
            raise errors.BadInput(f"{member[:80]!r} is no name of a member")
        return self._folder / member

    def _cleared_partial(self) -> Path:
        folder = self._folder / ".partial"
        folder.mkdir(exist_ok=True)
        for left in folder.iterdir():  # by a worker that was killed: this volume is ours alone
            left.unlink()
        return folder

    def _make_folders(self, folder: Path) -> None:
        if folder != self._folder and not folder.exists():
            self._make_folders(folder.parent)
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)
