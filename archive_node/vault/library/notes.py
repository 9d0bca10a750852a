"""What lies where, kept beside the archive's data; all of it can be read back from the tapes.

library.json              who this library is; `rebuilt` where that was learnt from a tape
inventory.txt             what the changer last said (mtx status)
volumes/A00001.json       a volume's state and marks
volumes/A00001.members    its members, one line each, in the order of the tape
drives/1.json, 1.lock     what a drive is about; its lock is held while it is used
drives/1.out-of-use       why a drive is not used; an operator who removes the file says it may be
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from archive_node.vault.durable import locked, sync_folder, write_durably

_TAIL_BYTES = 8192


@dataclass(frozen=True)
class Entry:
    """A member on a tape: its name, the number of its tape file, and its size."""

    name: str
    file: int
    size_bytes: int


@dataclass(frozen=True)
class VolumeNote:
    """What is known of a volume; `read` once its own label was seen by this library."""

    label: str
    capacity_bytes: int = 0
    read: bool = False
    labelled: bool = False
    closed: bool = False
    shelved: bool = False
    mark: str = ""
    why: str = ""
    failed_in: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Tally:
    """How many members a volume holds and what they take."""

    members: int
    used_bytes: int


class Notes:
    """The notes of one library, shared by all processes of the archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._volumes = folder / "volumes"
        for needed in (self._volumes, folder / "drives"):
            needed.mkdir(parents=True, exist_ok=True)

    @classmethod
    def about(cls, state_dir: Path, name: str, changer: str) -> Notes:
        """Return the notes on a changer: those of vault `name`, or of the name that it had before.

        They are the changer's, as its locks are: two names for one changer share them.
        """
        if not (state_dir / name / "library.json").exists():
            for file in sorted(state_dir.glob("*/library.json")):
                if (_read(file) or {}).get("changer") == changer:
                    return cls(file.parent)
        return cls(state_dir / name)

    def library(self) -> dict[str, Any] | None:
        """Return who this library is, or None where that is not known."""
        found = _read(self.folder / "library.json")
        return found if found and isinstance(found.get("id"), str) else None

    def keep_library(self, library_id: str, changer: str, *, rebuilt: bool) -> None:
        """Note who this library is, and whose changer these notes are about."""
        about = {"id": library_id, "changer": changer, "rebuilt": rebuilt}
        write_durably(self.folder / "library.json", about)

    def inventory(self) -> str | None:
        """Return what the changer last said."""
        try:
            return (self.folder / "inventory.txt").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def keep_inventory(self, printed: str) -> None:
        """Note what the changer says; not synced, since it can be asked again."""
        own = self.folder / f".inventory.{os.getpid()}.{id(printed)}"
        own.write_text(printed, encoding="utf-8")
        own.rename(self.folder / "inventory.txt")

    def labels(self) -> list[str]:
        """Return the labels of all volumes that anything was noted of."""
        names = (entry.name for entry in os.scandir(self._volumes))
        return sorted(name.removesuffix(".json") for name in names if _NOTE.match(name))

    def volume(self, label: str) -> VolumeNote:
        """Return what is known of a volume: nothing, where it was never met."""
        found = _read(self._volumes / f"{label}.json") or {}
        known = {name: found[name] for name in VolumeNote.__dataclass_fields__ if name in found}
        return VolumeNote(**{**known, "label": label})

    def change(self, label: str, **fields: Any) -> VolumeNote:
        """Note something of a volume, durably."""
        with locked(self.folder / "notes.lock"):
            changed = replace(self.volume(label), **fields)
            write_durably(self._volumes / f"{label}.json", asdict(changed))
        return changed

    def members(self, label: str) -> list[Entry]:
        """Return a volume's members, in the order of the tape."""
        try:
            raw = (self._volumes / f"{label}.members").read_bytes()
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in raw.split(b"\n")[:-1]]  # a torn line has no end
        return [Entry(line["name"], line["file"], line["size_bytes"]) for line in found]

    def tally(self, label: str) -> Tally:
        """Return how much a volume holds, from the last line alone."""
        try:
            with (self._volumes / f"{label}.members").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            lines = []
        if not lines:
            return Tally(0, 0)
        last = json.loads(lines[-1])
        return Tally(last["number"], last["used_bytes"])

    def add_members(self, label: str, entries: Iterable[Entry]) -> None:
        """Note members that are whole on the tape; only who holds the volume may."""
        path = self._volumes / f"{label}.members"
        _drop_torn_line(path)
        tally = self.tally(label)
        number, used = tally.members, tally.used_bytes
        with path.open("ab") as file:
            for entry in entries:
                number, used = number + 1, used + entry.size_bytes
                line = {**asdict(entry), "number": number, "used_bytes": used}
                file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._volumes)

    def forget_members(self, label: str) -> None:
        """Drop what was noted of a volume's members, before it is read anew."""
        with suppress(FileNotFoundError):
            (self._volumes / f"{label}.members").unlink()

    def find(self, member: str) -> list[str]:
        """Return the labels of the volumes whose notes name a member."""
        needle = json.dumps({"name": member})[1:-1].encode()
        return [
            label
            for label in self.labels()
            if needle in _bytes_of(self._volumes / f"{label}.members")
            and any(entry.name == member for entry in self.members(label))
        ]


_NOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\.json\Z")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _drop_torn_line(path: Path) -> None:
    """Cut off what a killed process wrote without its end."""
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _TAIL_BYTES))
        tail = file.read()
        file.truncate(end - len(tail) + tail.rfind(b"\n") + 1)
