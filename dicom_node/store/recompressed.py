"""What a file says of itself that was compressed at rest: what arrived (custody rule 4).

Private Information (0002,0102) keeps the digest and the size of what arrived, and the digest of
the data set that stands in its place. So a file is still known to be whole, by itself alone.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass

from pydicom.errors import InvalidDicomError
from pydicom.filereader import dcmread

KEY = "recompressed"
_QUOTED_KEY = f'"{KEY}"'.encode()


@dataclass(frozen=True)
class Recompressed:
    """The digest of the data set that arrived, the size of its file, and the digest now."""

    received_sha256: str
    received_bytes: int
    data_set_sha256: str

    def kept(self) -> dict[str, object]:
        """Return it as the meta group keeps it."""
        return {KEY: asdict(self)}


def told_by(head: bytes) -> Recompressed | None:
    """Return what preamble and group 0002 of a file tell; None where it is as it arrived."""
    if _QUOTED_KEY not in head:
        return None
    try:
        meta = dcmread(io.BytesIO(head)).file_meta
        told = json.loads(bytes(meta.PrivateInformation).rstrip(b"\0 "))[KEY]
        return Recompressed(**told)
    except (InvalidDicomError, AttributeError, KeyError, TypeError, ValueError):
        return None


def arrived_sha256(head: bytes, data_set_sha256: str) -> str:
    """Return the digest of what arrived, of a data set that stands in its place unharmed.

    Any other data set has its own.
    """
    told = told_by(head)
    if told is not None and told.data_set_sha256 == data_set_sha256:
        return told.received_sha256
    return data_set_sha256
