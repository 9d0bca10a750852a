"""A file that the archive gives to a node that lost it: what is said of it, and its stream."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from dicom_node.index.entry import Entry
from dicom_node.index.stored import entry_of_file
from dicom_node.store import blobs, part10
from dicom_node.store.layout import hour_of
from pacs_common.errors import BadInput
from pacs_common.uids import Uid


@dataclass(frozen=True)
class Given:
    """What the archive says of a file that it gives; `copies` where its stub alone is to stay."""

    study_uid: Uid
    sop_uid: Uid
    size_bytes: int
    stored_sha256: str
    copies: Sequence[dict[str, Any]] | None
    by: str

    def entry_of(self, path: Path, hour: str) -> Entry:
        """Return the entry of the file that came; raises BadInput where it is another object."""
        entry = entry_of_file(path, hour)
        if (entry.identity.study, entry.uid) != (self.study_uid, self.sop_uid):
            raise BadInput(f"the file holds {entry.uid} of study {entry.identity.study or 'none'}")
        return entry


class Source:
    """A body of which the first bytes are looked at before they are read."""

    def __init__(self, body: BinaryIO) -> None:
        self._body, self.first = body, b""
        while len(self.first) < blobs.CHUNK_BYTES and (more := body.read(blobs.CHUNK_BYTES)):
            self.first += more
        self._left = self.first

    def read(self, size: int) -> bytes:
        """Return up to `size` of the next bytes, b"" at the end."""
        if not self._left:
            return self._body.read(size)
        given, self._left = self._left[:size], self._left[size:]
        return given


def arrival_hour(start: bytes) -> str:
    """Return the hour of arrival that a file's meta group tells; raises BadInput."""
    head = start[: part10.data_set_offset(io.BytesIO(start))]
    untold = datetime.max.replace(tzinfo=UTC)
    origin = part10.provenance(part10.read_object(io.BytesIO(head)).file_meta, untold)
    if origin.arrived_at == untold:
        raise BadInput("the file does not tell when it arrived: no node has stored it")
    return hour_of(origin.arrived_at)
