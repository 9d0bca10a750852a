"""The node's append-only journal: what happened to objects after they arrived (custody rule 2).

One JSON object a line, one file a month, synced before the caller goes on. A torn last line
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
from typing import Any

from dicom_node.store.blobs import disk_errors, ensure_folder, sync_folder, write_all

EVICTED, RECALLED, COPIED = "evicted", "recalled", "copied"  # kinds of records
OFFERED = "offered"  # to the archive: its files stay as they are
REJECTED, UNDONE = "rejected", "rejection-undone"
APPROVED, REMOVED = "rejection-approved", "removed"
CORRECTED, CORRECTION_UNDONE = "corrected", "correction-undone"
KEPT, TAKEN, REOPENED = "quarantine-kept", "quarantine-taken", "quarantine-reopened"


@dataclass(frozen=True)
class Added:
    """Records that were added to a journal, and whether there are no more of them."""

    records: list[dict[str, Any]]
    whole: bool


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

    def of_study(self, study_uid: str) -> list[dict[str, Any]]:
        """Return the records of one study, oldest first."""
        return [record for record in self.read() if record.get("study_uid") == study_uid]

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
