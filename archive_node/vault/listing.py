"""The list MEMBERS of a volume in a folder: its members in the order of writing, one to a line.

A line is durable before its member has its final name, so every member that can be seen has one,
and only the last line may speak of a member that is not there: of a writer that was killed in
between (or is about to name it). Each line holds the sum so far, so that how much a volume holds
is read from the end of the list.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from archive_node.vault.durable import replace_durably, sync_folder

_TAIL_BYTES = 4096  # holds a whole line at least: a member's name has 512 characters at most

IsThere = Callable[[str], bool]


@dataclass(frozen=True)
class Entry:
    """One member; `written_at` is an ISO time, `end_bytes` what the volume holds with it."""

    name: str
    size_bytes: int
    written_at: str
    end_bytes: int


class Listing:
    """The list of one volume; to be written only by who may write the volume."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "MEMBERS"

    def used_bytes(self, is_there: IsThere) -> int | None:
        """Return what the members take, or None where the list's end does not say."""
        last, _ = self._last()
        if last is None:
            return None
        return last.end_bytes if is_there(last.name) else last.end_bytes - last.size_bytes

    def entries(self, is_there: IsThere) -> list[Entry]:
        """Return the members in order; lines that cannot be read, or name nothing, are left out."""
        try:
            lines = self._file.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        parsed = [entry for line in lines if (entry := _parsed(line)) is not None]
        if parsed and not is_there(parsed[-1].name):
            parsed.pop()
        return parsed

    def settle(self, is_there: IsThere) -> bool:
        """Take away the line of a writer that was killed before it named its member.

        Returns False where the list is missing or damaged, and must be made anew (`rewrite`).
        """
        last, start = self._last()
        if last is not None and not is_there(last.name):
            os.truncate(self._file, start)
        return last is not None

    def append(self, entry: Entry) -> None:
        """Add a line and make it durable."""
        is_new = not self._file.exists()
        with self._file.open("ab") as file:
            file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self._file.parent)

    def rewrite(self, entries: list[Entry]) -> None:
        """Make the list anew."""
        replace_durably(self._file, b"".join(map(_line, entries)))

    def _last(self) -> tuple[Entry | None, int]:
        """Return the last line and where it begins; None where the end is no line."""
        try:
            with self._file.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                raw = os.pread(file.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        except FileNotFoundError:
            return None, 0
        lines = raw.split(b"\n")
        if len(lines) < 2 or lines[-1]:  # torn, or no list at all
            return None, 0
        return _parsed(lines[-2]), size - len(lines[-2]) - 1


def summed(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries, each with the sum up to and with it."""
    made, end = [], 0
    for entry in entries:
        end += entry.size_bytes
        made.append(replace(entry, end_bytes=end))
    return made


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry)).encode() + b"\n"


def _parsed(line: bytes) -> Entry | None:
    try:
        entry = Entry(**json.loads(line))
        sane = isinstance(entry.name, str) and isinstance(entry.written_at, str)
        sane = sane and 0 <= entry.size_bytes <= entry.end_bytes
    except (TypeError, ValueError):
        return None
    return entry if sane else None
