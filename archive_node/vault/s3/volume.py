"""A volume that is a prefix in a bucket.

A00001/LABEL                            label, library, capacity, date
A00001/CT/<study uid>/r60-1.tar         a member
A00001/MEMBERS/99999998/CT/<...>.tar    its line; numbers fall: the newest is listed first
A00001/INDEX.json                       present where nothing more is appended

A line is written before its member is completed, as in a folder (listing.py): only the newest may
speak of a member that is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from archive_node.vault.base import (
    MemberExists,
    MountedVolume,
    Thawing,
    VaultUnavailable,
    Volume,
    VolumeState,
    Writer,
)
from archive_node.vault.durable import write_durably
from archive_node.vault.folder_volume import index_of
from archive_node.vault.listing import Entry, summed
from archive_node.vault.names import checked
from archive_node.vault.s3 import reading
from archive_node.vault.s3.store import Found, Store, ThereAlready
from archive_node.vault.s3.thawing import Thaw
from archive_node.vault.s3.upload import Upload, sweep
from pacs_common import errors
from pacs_common.sentences import say

_LAST_NUMBER = 99_999_999


class ObjectVolume(MountedVolume):
    """One volume of the library `library_id`; `kept` is a folder for what never changes."""

    def __init__(self, store: Store, vault: str, library_id: str, label: str, kept: Path) -> None:
        self.label = label
        self._store, self._vault, self._library_id = store, vault, library_id
        self._kept = kept / f"{label}.json"
        self._lines = f"{label}/MEMBERS/"
        self._thaw = Thaw(store, kept / "thawing")

    @property
    def capacity_bytes(self) -> int | None:
        """Return what its label says that it holds; None where that is not its own label."""
        try:
            label = self._store.read_json(f"{self.label}/LABEL") or {}
            own = (label["label"], label["library"]) == (self.label, self._library_id)
            return int(label["capacity_bytes"]) if own else None
        except (KeyError, TypeError, ValueError):
            return None

    def closed(self) -> dict[str, Any] | None:
        """Return its index with its capacity, or None while it is not closed.

        It never changes, so the store is asked once.
        """
        if self._kept.exists():
            return _kept_index(self._kept)
        index = self._store.read_json(f"{self.label}/INDEX.json")
        if index is None:
            return None
        index["capacity_bytes"] = self.capacity_bytes
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self._kept, index)
        return index

    def described(self, mark: VolumeState | None) -> Volume:
        """Return it as the interface describes volumes."""
        index = self.closed()
        if index is not None:
            state, used, capacity = VolumeState.FULL, index["used_bytes"], index["capacity_bytes"]
        else:
            used, capacity = self.used_bytes(), self.capacity_bytes
            state = VolumeState.FILLING if used else VolumeState.SCRATCH
        if capacity is None:
            state, capacity = VolumeState.SUSPECT, used
        return Volume(self.label, mark or state, used, capacity)

    def used_bytes(self) -> int:
        """Return what the members of a volume that is not closed take."""
        newest, _ = self._newest()
        if newest is None:
            return sum(found.size_bytes for found in self._found())
        is_there = self.size_of(newest.name) is not None
        return newest.end_bytes if is_there else newest.end_bytes - newest.size_bytes

    def has_room_for(self, size_bytes: int) -> bool:
        """Return whether a member of this size fits; where it does not, the volume is closed."""
        capacity = self.capacity_bytes
        if capacity is None or self.closed() is not None:
            return False
        self._settle_lines()
        if self.used_bytes() + size_bytes <= capacity:
            return True
        index = index_of(self.label, self._library_id, self._entries())
        self._store.write_json(f"{self.label}/INDEX.json", index)
        return False

    def append(self, member: str, size_bytes: int, write: Writer) -> None:
        """Upload a member; it is there once all of it is, and its line is."""
        key = self._key(member)
        upload = Upload(self._store, key, size_bytes)
        try:
            write(upload)
            if upload.tell() != size_bytes:
                raise ValueError(f"{member}: {upload.tell()} bytes written, not {size_bytes}")
            upload.send_rest()
            self._write_line(member, size_bytes)
            upload.complete()
        except ThereAlready:
            upload.abort()
            raise MemberExists(f"{self.label} holds {member} already") from None
        except BaseException:
            upload.abort()
            raise

    def open(self, member: str) -> IO[bytes]:
        """Return a reader of a member; raises Thawing while it lies in cold storage."""
        head = self._head(member)
        self._thaw.check(self._key(member), head)
        return reading.reader(self._store, self._key(member), self._vault, self.label, head)

    def thaw(self, members: Iterable[str]) -> None:
        """Ask for all members that lie in cold storage, then raise the longest Thawing."""
        waits, missing = [], []
        for member in members:
            try:
                self._thaw.check(self._key(member), self._head(member))
            except Thawing as thawing:
                waits.append(thawing)
            except errors.NotFound as error:  # that keeps none of the others waiting
                missing.append(error)
        if waits:
            raise max(waits, key=lambda thawing: thawing.until or datetime.now(UTC))
        if missing:
            raise missing[0]

    def members(self) -> list[str]:
        """Return its members' names, in the order in which they were written."""
        index = self.closed()
        if index is not None:
            return [entry["name"] for entry in index["members"]]
        return [entry.name for entry in self._entries()]

    def size_of(self, member: str) -> int | None:
        """Return a member's size in bytes, or None."""
        head = self._store.head(self._key(member))
        return None if head is None else head["ContentLength"]

    def holds(self, member: str) -> bool:
        """Return whether it has such a member; of a closed volume the store is not asked."""
        index = self.closed()
        if index is None:
            return self.size_of(member) is not None
        return member in _names(self._kept)

    def settle(self, member: str) -> None:
        """Check that a member is there: a store that said so has it for good."""
        self._head(member)

    def _key(self, member: str) -> str:
        return f"{self.label}/{checked(member)}"

    def _head(self, member: str) -> dict[str, Any]:
        head = self._store.head(self._key(member))
        if head is None:
            raise errors.NotFound(say("member-missing", volume=self.label, member=member))
        return head

    def _found(self) -> list[Found]:
        """Return its members as the store lists them, their names without the volume's."""
        skipped = len(self.label) + 1
        return [
            Found(found.key[skipped:], found.size_bytes, found.modified_at)
            for found in self._store.listed(f"{self.label}/")
            if found.key.endswith(".tar") and not found.key.startswith(self._lines)
        ]

    def _newest(self) -> tuple[Entry | None, str]:
        """Return the newest line and its key."""
        for found in self._store.listed(self._lines, at_most=1):
            try:
                return Entry(**(self._store.read_json(found.key) or {})), found.key
            except TypeError:
                raise VaultUnavailable(f"{self._store.place}{found.key} cannot be read") from None
        return None, ""

    def _settle_lines(self) -> None:
        """Take away what a killed writer left: its uploads first, so that none ends later."""
        sweep(self._store, f"{self.label}/")
        newest, key = self._newest()
        if newest is not None and self.size_of(newest.name) is None:
            self._store.delete(key)

    def _write_line(self, member: str, size_bytes: int) -> None:
        newest, key = self._newest()
        number = int(key[len(self._lines) :].split("/")[0]) - 1 if newest else _LAST_NUMBER
        used = newest.end_bytes if newest else self.used_bytes()
        written_at = datetime.now(UTC).isoformat()
        entry = Entry(member, size_bytes, written_at, used + size_bytes)
        self._store.write_json(f"{self._lines}{number:08}/{member}", asdict(entry))

    def _entries(self) -> list[Entry]:
        """Return its members in the order of their lines, then those whose line is lost."""
        found = {each.key: each for each in self._found()}
        lines = list(self._store.listed(self._lines))
        skipped = len(self._lines) + len("99999999/")
        names = [line.key[skipped:] for line in reversed(lines)]
        order = [name for name in names if name in found]
        lost = sorted(found.keys() - set(order), key=lambda name: found[name].modified_at)
        return summed(
            Entry(name, found[name].size_bytes, found[name].modified_at.isoformat(), 0)
            for name in [*order, *lost]
        )


@lru_cache(maxsize=4096)
def _kept_index(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


@lru_cache(maxsize=4096)
def _names(file: Path) -> frozenset[str]:
    return frozenset(entry["name"] for entry in _kept_index(file)["members"])
