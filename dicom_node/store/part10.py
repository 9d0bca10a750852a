"""PS3.10 files: the meta group that the node writes, and the headers that it reads back."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from pacs_common import VERSION
from pacs_common.errors import NotDicom

IMPLEMENTATION_CLASS_UID = "2.25.251086480302949103219303021302342216331"
IMPLEMENTATION_VERSION = f"ARGENS_{VERSION}"
MAX_INFLATED_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
PREAMBLE = bytes(128) + b"DICM"
_PIXELS = 0x7FE00000
_UNDEFINED = 0xFFFFFFFF
# What pydicom raises on bytes that are no data set, and on values that it cannot write.
UNREADABLE = (
    BytesLengthException,
    InvalidDicomError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Provenance:
    """Where an object came from, as its file meta group keeps it."""

    arrived_at: datetime
    source_ae: str = ""
    called_ae: str = ""


@dataclass(frozen=True)
class Header:
    """A parsed data set without its pixels, and where in the (inflated) bytes it stopped."""

    data_set: Dataset
    body: bytes
    stopped_at: int

    @property
    def is_implicit(self) -> bool:
        """Whether it is really Implicit VR: some senders label it wrongly."""
        return bool(self.data_set.original_encoding[0])

    @property
    def is_little_endian(self) -> bool:
        """Whether it is Little Endian."""
        return bool(self.data_set.original_encoding[1])


def meta_group(sop_class: str, uid: str, transfer_syntax: str, origin: Provenance) -> bytes:
    """Return preamble, prefix and group 0002 for an object (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    if origin.source_ae:
        meta.SourceApplicationEntityTitle = origin.source_ae
        meta.SendingApplicationEntityTitle = origin.source_ae
    if origin.called_ae:
        meta.ReceivingApplicationEntityTitle = origin.called_ae
    meta.PrivateInformationCreatorUID = UID(IMPLEMENTATION_CLASS_UID)
    kept = json.dumps({"arrived_at": origin.arrived_at.isoformat()}).encode()
    meta.PrivateInformation = kept + b" " * (len(kept) % 2)
    buffer = io.BytesIO()
    buffer.write(PREAMBLE)
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return buffer.getvalue()


def provenance(meta: Dataset, fallback: datetime) -> Provenance:
    """Return what `meta_group` kept; `fallback` where another program wrote the file."""
    arrived_at = fallback
    if meta.get("PrivateInformationCreatorUID") == IMPLEMENTATION_CLASS_UID:
        try:
            kept = json.loads(bytes(meta.PrivateInformation).rstrip(b"\0 "))
            arrived_at = datetime.fromisoformat(kept["arrived_at"]).astimezone(UTC)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
    return Provenance(
        arrived_at=arrived_at,
        source_ae=str(meta.get("SourceApplicationEntityTitle", "")),
        called_ae=str(meta.get("ReceivingApplicationEntityTitle", "")),
    )


def parse_header(encoded: bytes, transfer_syntax: str) -> Header:
    """Parse a data set (no group 0002) up to its pixels; raises NotDicom with one line."""
    try:
        deflated = transfer_syntax == DeflatedExplicitVRLittleEndian
        body = _inflated(encoded) if deflated else encoded
        stream = io.BytesIO(body)
        data_set = read_dataset(stream, *_encoding(transfer_syntax), stop_when=_at_pixels)
        _require_whole(data_set)
    except UNREADABLE as error:
        raise NotDicom(f"the data set cannot be read: {error}") from None
    return Header(data_set, body, stream.tell())


def parse_data_set(encoded: bytes, transfer_syntax: str) -> Dataset:
    """Parse a whole data set, pixels too; raises NotDicom."""
    try:
        return read_dataset(io.BytesIO(encoded), *_encoding(transfer_syntax))
    except UNREADABLE as error:
        raise NotDicom(f"the data set cannot be read: {error}") from None


def read_header(path: Path) -> FileDataset:
    """Read a stored file (or stub) up to its pixels; raises NotDicom."""
    return _read(path, stop_before_pixels=True)


def read_object(source: Path | BinaryIO) -> FileDataset:
    """Read a whole object; of a file, large values stay on disk until they are asked for."""
    return _read(source, defer_size="64 KB" if isinstance(source, Path) else None)


def data_set_offset(file: BinaryIO) -> int:
    """Leave `file` at its data set and return the offset: after preamble and group 0002."""
    head = file.read(len(PREAMBLE) + 12)
    if len(head) < 144 or head[128:136] != b"DICM\x02\x00\x00\x00":
        raise NotDicom("no file meta group")
    (length,) = struct.unpack("<L", head[140:144])
    return file.seek(144 + length)


def data_set_sha256(path: Path) -> str:
    """Return the SHA-256 of a stored file's data set, group 0002 left out."""
    with path.open("rb") as file:
        data_set_offset(file)
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a whole stored file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_digests(path: Path) -> tuple[str, str]:
    """Return (`data_set_sha256`, `file_sha256`) of a stored file, in one reading."""
    with path.open("rb") as file:
        start = data_set_offset(file)
        file.seek(0)
        whole = hashlib.sha256(file.read(start))
        data_set = hashlib.sha256()
        while chunk := file.read(CHUNK_BYTES):
            whole.update(chunk)
            data_set.update(chunk)
    return data_set.hexdigest(), whole.hexdigest()


def _read(source: Path | BinaryIO, **how: Any) -> FileDataset:
    try:
        return dcmread(source, **how)
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        name = source.name if isinstance(source, Path) else "the object"
        raise NotDicom(f"{name} cannot be read: {error}") from None


def _require_whole(data_set: Dataset) -> None:
    """Raise ValueError where an element ends before its length: pydicom reads on without it."""
    for element in data_set.values():
        if isinstance(element, RawDataElement) and element.length != _UNDEFINED:
            if len(element.value or b"") < element.length:
                raise ValueError("it is cut")


def _encoding(transfer_syntax: str) -> tuple[bool, bool]:
    """Return (implicit VR, little endian): all but two syntaxes are Explicit VR Little Endian."""
    implicit = transfer_syntax == ImplicitVRLittleEndian
    return implicit, transfer_syntax != ExplicitVRBigEndian


def _at_pixels(tag: int, _vr: str | None, _length: int) -> bool:
    return tag >= _PIXELS


def _inflated(encoded: bytes) -> bytes:
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    body = engine.decompress(encoded, MAX_INFLATED_BYTES)
    if engine.unconsumed_tail:
        raise ValueError(f"it inflates to more than {MAX_INFLATED_BYTES >> 20} MiB")
    return body
