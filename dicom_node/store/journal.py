"""The node's append-only journal: what happened to objects after they arrived (custody rule 2).

One JSON object a line, one file a month, synced before the caller goes on. What it says of one
study is asked of `index/journaled.py`, which knows where that stands. A torn last line
(power cut in mid-write) is skipped by readers and closed by the next writer.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dicom_node.store.blobs import disk_errors, ensure_folder, sync_folder, write_all

EVICTED, RECALLED, COPIED = "evicted", "recalled", "copied"  # kinds of records
OFFERED = "offered"  # to the archive: its files stay as they are
REJECTED, UNDONE = "rejected", "rejection-undone"
APPROVED, REMOVED = "rejection-approved", "removed"
CORRECTED, CORRECTION_UNDONE = "corrected", "correction-undone"
HELD, RELEASED = "held", "released"  # by the archive: the study stays on the node
SHELVED = "availability"  # of evicted instances: NEARLINE, or OFFLINE
KEPT, TAKEN, REOPENED = "quarantine-kept", "quarantine-taken", "quarantine-reopened"

RESTORED = "0-restored.jsonl"  # before every month


@dataclass(frozen=True)
class Added:
    """Records that were added to a journal, and whether there are no more of them."""

    records: list[dict[str, Any]]
    whole: bool


class Line(NamedTuple):
    """A line of a journal file, and where it begins (bytes)."""

    file: str
    begins_at: int
    text: bytes

    @property
    def ends_at(self) -> int:
        """Where the next line begins."""
        return self.begins_at + len(self.text)

    def records(self) -> list[dict[str, Any]]:
        """Return its record; none of a line that was torn."""
        return _parsed(self.text)


class Journal:
    """The records below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, kind: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records of one kind, durably, each with the time and its kind."""
        now = datetime.now(UTC)
        lines = [
            json.dumps({"at": now.isoformat(), "kind": kind, **record})  # ASCII: one line, always
            for record in records
        ]
        if lines:
            ensure_folder(self._folder)
            self._append_lines(self._folder / f"{now:%Y-%m}.jsonl", lines)

    def restore(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records of a journal that was lost, durably and as they are.

        They come before all that this one has told itself, in a file of their own.
        """
        lines = [json.dumps(dict(record)) for record in records]
        if lines:
            ensure_folder(self._folder)
            self._append_lines(self._folder / RESTORED, lines)

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield all records, oldest first."""
        for file in sorted(self._folder.glob("*.jsonl")):
            for line in file.read_bytes().split(b"\n"):
                yield from _parsed(line)

    def since(self, marks: dict[str, int], most_bytes: int) -> Added:
        """Return the records behind `marks` (bytes read of each file), which are moved on.

        At most about `most_bytes` are read; a line that is still being written is left.
        """
        records: list[dict[str, Any]] = []
        left = most_bytes
        for file in sorted(self._folder.glob("*.jsonl")):
            with file.open("rb") as lines:
                lines.seek(marks.get(file.name, 0))
                for line in lines:
                    if left <= 0 or not line.endswith(b"\n"):
                        break
                    left -= len(line)
                    marks[file.name] = marks.get(file.name, 0) + len(line)
                    records += _parsed(line)
        return Added(records, whole=left > 0)

    def sizes(self) -> dict[str, int]:
        """Return how many bytes of each file are durable: whole records, oldest file first."""
        found = {}
        for file in sorted(self._folder.glob("*.jsonl")):
            handle = os.open(file, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH)  # no batch is half-written, or taken back
                found[file.name] = os.fstat(handle).st_size
            finally:
                os.close(handle)
        return found

    def lines(self, file: str, begins_at: int, ends_at: int) -> Iterator[Line]:
        """Yield the lines of a file between two offsets, the first of which begins a line."""
        with (self._folder / file).open("rb") as content:
            content.seek(begins_at)
            while begins_at < ends_at and (text := content.readline()):
                yield Line(file, begins_at, text)
                begins_at += len(text)

    def _append_lines(self, file: Path, lines: list[str]) -> None:
        with disk_errors():
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                end = os.fstat(handle).st_size
                torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
                text = ("\n" if torn else "") + "\n".join(lines) + "\n"
                try:
                    write_all(handle, [text.encode()])
                except OSError:
                    os.ftruncate(handle, end)  # nobody was answered: no record of the batch stays
                    raise
            finally:
                os.close(handle)
        sync_folder(self._folder)  # also where another process made the file a moment ago


def _parsed(line: bytes) -> list[dict[str, Any]]:
    """Return the record of a line; none of one torn by a power cut before anybody was answered."""
    try:
        record = json.loads(line)
    except ValueError:
        return []
    return [record] if isinstance(record, dict) else []
