"""PS3.10 files: the meta group that the node writes, and the headers that it reads back."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.store.charsets import DEFAULT_FALLBACK
from dicom_node.store.recompressed import Recompressed, arrived_sha256, told_by
from dicom_node.store.scan import Scanner
from pacs_common import VERSION
from pacs_common.errors import NotDicom

IMPLEMENTATION_CLASS_UID = "2.25.251086480302949103219303021302342216331"
IMPLEMENTATION_VERSION = f"ARGENS_{VERSION}"
MAX_INFLATED_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
PREAMBLE = bytes(128) + b"DICM"
_GROUP_LENGTH = struct.pack("<HH2sH", 2, 0, b"UL", 4)
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
    fallback_charset: str = DEFAULT_FALLBACK
    stored_by: str = ""


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


def meta_group(
    sop_class: str,
    uid: str,
    transfer_syntax: str,
    origin: Provenance,
    recompressed: Recompressed | None = None,
) -> bytes:
    """Return preamble, prefix and group 0002 for an object (PS3.10 7.1)."""
    before, after = _of_the_sender(sop_class, transfer_syntax, origin.source_ae, origin.called_ae)
    kept = {"arrived_at": origin.arrived_at.isoformat()}
    if origin.fallback_charset != DEFAULT_FALLBACK:
        kept["fallback_charset"] = origin.fallback_charset
    if origin.stored_by:
        kept["stored_by"] = origin.stored_by
    if recompressed is not None:
        kept |= recompressed.kept()
    private = _element(0x0102, b"OB", json.dumps(kept).encode(), b" ")
    body = b"".join(
        (before, _element(0x0003, b"UI", uid.encode("ascii", "replace")), after, private)
    )
    return b"".join((PREAMBLE, _GROUP_LENGTH, len(body).to_bytes(4, "little"), body))


@lru_cache(256)
def _of_the_sender(
    sop_class: str, transfer_syntax: str, source_ae: str, called_ae: str
) -> tuple[bytes, bytes]:
    """Return what one sender's meta groups share: the elements before and after the UID."""
    before = _element(0x0001, b"OB", b"\x00\x01") + _text_element(0x0002, b"UI", sop_class)
    after = [
        _text_element(0x0010, b"UI", transfer_syntax),
        _text_element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _text_element(0x0013, b"SH", IMPLEMENTATION_VERSION),
    ]
    titles = ((0x0016, source_ae), (0x0017, source_ae), (0x0018, called_ae))
    after += [_text_element(element, b"AE", title) for element, title in titles if title]
    after.append(_text_element(0x0100, b"UI", IMPLEMENTATION_CLASS_UID))
    return before, b"".join(after)


def _text_element(element: int, vr: bytes, text: str) -> bytes:
    return _element(element, vr, text.encode("ascii", "replace"), b"\0" if vr == b"UI" else b" ")


def _element(element: int, vr: bytes, value: bytes, padding: bytes = b"\0") -> bytes:
    value += padding * (len(value) % 2)
    if vr == b"OB":
        return struct.pack("<HH2sHL", 2, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def provenance(meta: Dataset, fallback: datetime) -> Provenance:
    """Return what `meta_group` kept; `fallback` where another program wrote the file."""
    arrived_at, charset, stored_by = fallback, DEFAULT_FALLBACK, ""
    if meta.get("PrivateInformationCreatorUID") == IMPLEMENTATION_CLASS_UID:
        try:
            kept = json.loads(bytes(meta.PrivateInformation).rstrip(b"\0 "))
            charset = str(kept.get("fallback_charset", DEFAULT_FALLBACK))
            stored_by = str(kept.get("stored_by", ""))
            arrived_at = datetime.fromisoformat(kept["arrived_at"]).astimezone(UTC)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
    return Provenance(
        arrived_at=arrived_at,
        source_ae=str(meta.get("SourceApplicationEntityTitle", "")),
        called_ae=str(meta.get("ReceivingApplicationEntityTitle", "")),
        fallback_charset=charset,
        stored_by=stored_by,
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


def read_header(source: Path | BinaryIO) -> FileDataset:
    """Read a stored file (or stub) up to its pixels, where an open one is left; raises NotDicom."""
    return _read(source, stop_before_pixels=True)


def read_object(source: Path | BinaryIO) -> FileDataset:
    """Read a whole object; of a file, large values stay on disk until they are asked for."""
    return _read(source, defer_size="64 KB" if isinstance(source, Path) else None)


def scan_file(path: Path, wanted: Collection[int]) -> tuple[Dataset, Scanner, str]:
    """Return (meta group, scan, digest of the data set as it arrived), in one reading.

    A file that was compressed at rest tells that digest itself, also where it is damaged since.
    Raises NotDicom where it is not whole.
    """
    try:
        meta = read_file_meta_info(path)
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise NotDicom(f"{path.name} cannot be read: {error}") from None
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if not syntax:
        raise NotDicom("the file names no transfer syntax")
    scanner, digest = Scanner(syntax, wanted), hashlib.sha256()
    with path.open("rb") as file:
        head = _head(file)
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            scanner.feed(chunk)
    scanner.finish()
    told = told_by(head)
    return meta, scanner, told.received_sha256 if told else digest.hexdigest()


def data_set_offset(file: BinaryIO) -> int:
    """Leave `file` at its data set and return the offset: after preamble and group 0002."""
    head = file.read(len(PREAMBLE) + 12)
    if len(head) < 144 or head[128:136] != b"DICM\x02\x00\x00\x00":
        raise NotDicom("no file meta group")
    (length,) = struct.unpack("<L", head[140:144])
    return file.seek(144 + length)


def data_set_sha256(path: Path) -> str:
    """Return the SHA-256 of a stored file's data set as it arrived, group 0002 left out."""
    with path.open("rb") as file:
        head = _head(file)
        return arrived_sha256(head, hashlib.file_digest(file, "sha256").hexdigest())


def recompressed(path: Path) -> Recompressed | None:
    """Return what a stored file tells that was compressed at rest; None: it is as it arrived."""
    with path.open("rb") as file:
        return told_by(_head(file))


def _head(file: BinaryIO) -> bytes:
    """Return preamble and group 0002; leave `file` at its data set."""
    start = data_set_offset(file)
    file.seek(0)
    return file.read(start)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a whole stored file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_digests(path: Path) -> tuple[str, str]:
    """Return (`data_set_sha256`, `file_sha256`) of a stored file, in one reading."""
    with path.open("rb") as file:
        head = _head(file)
        whole = hashlib.sha256(head)
        data_set = hashlib.sha256()
        while chunk := file.read(CHUNK_BYTES):
            whole.update(chunk)
            data_set.update(chunk)
    return arrived_sha256(head, data_set.hexdigest()), whole.hexdigest()


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
