"""A volume that is a folder, of the virtual tape library as of a disk.

LABEL          label, library, capacity, date
MEMBERS        its members in the order of writing (listing.py)
INDEX.json     the same at its end: present where nothing more is appended
FULL           the same in volumes of the first archives, without the members
.partial/      what is being written; never a member
CT/<study uid>/r60-1.tar
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from archive_node.vault import medium
from archive_node.vault.base import MountedVolume, Volume, VolumeState, Writer
from archive_node.vault.durable import sync_folder, write_durably
from archive_node.vault.listing import Entry, Listing, summed
from archive_node.vault.names import checked
from pacs_common import errors
from pacs_common.sentences import say

INDEX_FORMAT = "argens-volume-index-1"


class FolderVolume(MountedVolume):
    """One volume's folder in the library `library_id`; written only by who may alone write it."""

    def __init__(self, folder: Path, vault: str, library_id: str) -> None:
        self.label = folder.name
        self._folder = folder
        self._library_id = library_id
        self._index = folder / "INDEX.json"
        self._listing = Listing(folder)
        self._translate = medium.translator(vault, self.label)

    @property
    def capacity_bytes(self) -> int | None:
        """Return what its label says that it holds; None where that is not its own label."""
        try:
            label = json.loads((self._folder / "LABEL").read_text(encoding="utf-8"))
            own = (label["label"], label["library"]) == (self.label, self._library_id)
            return int(label["capacity_bytes"]) if own else None
        except (KeyError, TypeError, ValueError, OSError):
            return None

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is appended."""
        return self._index.exists() or (self._folder / "FULL").exists()

    @property
    def used_bytes(self) -> int:
        """Return what its members take."""
        used = self._listing.used_bytes(self._has)
        return sum(size for _, size, _ in self._found()) if used is None else used

    def described(
        self, mark: VolumeState | None, drive: int | None, slot: int | None, shelved: bool
    ) -> Volume:
        """Return it as the interface describes volumes."""
        used, capacity = self.used_bytes, self.capacity_bytes
        state = VolumeState.FILLING if used else VolumeState.SCRATCH
        if self.is_closed:
            state = VolumeState.FULL
        if shelved:
            state = VolumeState.EXPORTED
        if capacity is None:
            state, capacity = VolumeState.SUSPECT, used
        return Volume(self.label, mark or state, used, capacity, drive, slot, shelved)

    def has_room_for(self, size_bytes: int) -> bool:
        """Return whether a member of this size fits; where it does not, the volume is closed."""
        capacity = self.capacity_bytes
        if capacity is None or self.is_closed:
            return False
        with medium.translated(self._translate):
            self._settle_list()
            if self.used_bytes + size_bytes <= capacity:
                return True
            self._close()
        return False

    def append(self, member: str, size_bytes: int, write: Writer) -> None:
        """Write a member and make it durable: bytes first, then its line, then its name."""
        target = self._path(member)
        with medium.translated(self._translate):
            self._settle_list()
            partial = self._cleared_partial() / "member"
        try:
            with medium.writer(partial, self._translate) as file:
                write(file)
                file.flush()
                with medium.translated(self._translate):
                    os.fsync(file.fileno())
                if file.tell() != size_bytes:
                    raise ValueError(f"{member}: {file.tell()} bytes written, not {size_bytes}")
            with medium.translated(self._translate):
                self._make_folders(target.parent)
                self._listing.append(self._entry(member, size_bytes))
                partial.rename(target)
                sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)

    def open(self, member: str) -> IO[bytes]:
        """Return a reader; cached pages are dropped first, so that the medium itself is read."""
        try:
            return medium.reader(self._path(member), self._translate)
        except FileNotFoundError:
            raise errors.NotFound(say("member-missing", volume=self.label, member=member)) from None

    def members(self) -> list[str]:
        """Return its members' names, in the order in which they were written."""
        return [entry.name for entry in self._entries()]

    def size_of(self, member: str) -> int | None:
        """Return a member's size in bytes, or None."""
        try:
            return self._path(member).stat().st_size
        except FileNotFoundError:
            return None

    def settle(self, member: str) -> None:
        """Sync a member and every folder above it, up to the library's own."""
        path = self._path(member)
        with medium.translated(self._translate):
            try:
                handle = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                raise errors.NotFound(
                    say("member-missing", volume=self.label, member=member)
                ) from None
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
        return self._folder / checked(member)

    def _has(self, member: str) -> bool:
        return (self._folder / member).exists()

    def _found(self) -> list[tuple[int, int, str]]:
        """Return (time of writing in ns, size, name) of the members that lie here."""
        found = []
        for folder, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if name != ".partial"]
            for name in names:
                if name.endswith(".tar"):
                    path = Path(folder) / name
                    about = path.stat()
                    name_here = path.relative_to(self._folder).as_posix()
                    found.append((about.st_mtime_ns, about.st_size, name_here))
        return sorted(found)

    def _entries(self) -> list[Entry]:
        """Return its members as the list has them, with those that the list has lost."""
        found = self._found()
        lying = {name for _, _, name in found}
        listed_first = self._listing.entries(self._has) or self._indexed()
        known = [entry for entry in listed_first if entry.name in lying]
        listed = {entry.name for entry in known}
        for mtime_ns, size, name in found:
            if name not in listed:
                written_at = datetime.fromtimestamp(mtime_ns / 1e9, UTC).isoformat()
                known.append(Entry(name, size, written_at, 0))
        return summed(known)

    def _indexed(self) -> list[Entry]:
        try:
            members = json.loads(self._index.read_text(encoding="utf-8"))["members"]
            return [Entry(**member, end_bytes=0) for member in members]
        except (KeyError, TypeError, ValueError, OSError):
            return []

    def _entry(self, member: str, size_bytes: int) -> Entry:
        now = datetime.now(UTC).isoformat()
        return Entry(member, size_bytes, now, self.used_bytes + size_bytes)

    def _settle_list(self) -> None:
        if not self._listing.settle(self._has):
            entries = self._entries()
            if entries:
                self._listing.rewrite(entries)

    def _close(self) -> None:
        entries = self._entries()
        write_durably(self._index, index_of(self.label, self._library_id, entries))

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


def index_of(label: str, library_id: str, entries: list[Entry]) -> dict[str, Any]:
    """Return a closed volume's index (docs/formats/archive-volume.md)."""
    return {
        "format": INDEX_FORMAT,
        "label": label,
        "library": library_id,
        "closed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "used_bytes": entries[-1].end_bytes if entries else 0,
        "members": [
            {
                "name": entry.name,
                "size_bytes": entry.size_bytes,
                "written_at": entry.written_at,
            }
            for entry in entries
        ],
    }
