"""The node's append-only journal: what happened to objects after they arrived (custody rule 2).

One JSON object a line, one file a month, synced before the caller goes on. A torn last line
(power cut in mid-write) is skipped by readers and closed by the next writer.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicom_node.store.blobs import disk_errors, ensure_folder, sync_folder, write_all

EVICTED, RECALLED = "evicted", "recalled"  # kinds of records


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
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # torn by a power cut before anybody was answered
                if isinstance(record, dict):
                    yield record

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
