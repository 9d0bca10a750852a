"""Metadata and bulk data as parts of one request become objects (PS3.18 8.7.3, 10.5.1.2, F).

The first part is the metadata, an array of data sets in the DICOM JSON model; what a BulkDataURI
names follows as a part with that Content-Location. Bulk data waits in nameless files on the node's
disk; of each object no more than its other elements are held.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.dicomweb.selection import LAYOUT
from dicom_node.dicomweb.stow_body import MediaType, media_type
from dicom_node.dicomweb.stow_object import kept_here
from dicom_node.dicomweb.stow_parts import Objects
from dicom_node.store.blobs import CHUNK_BYTES, disk_errors, require_space
from dicom_node.store.part10 import UNREADABLE
from pacs_common.errors import ArgensError, BadInput, NotDicom, TooLarge

JSON = "application/dicom+json"
MAX_NESTED_BYTES = 16 << 20  # of bulk data that is held: all but what lies at top level
_OCTETS = "application/octet-stream"
_BULK_VRS = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
_CHARSET, _UTF_8 = 0x00080005, "ISO_IR 192"
_PIXEL_DATA, _MAX_LENGTH = 0x7FE00010, 0xFFFFFFFE
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
Piece = bytes | BinaryIO


@dataclass(frozen=True)
class Bulk:
    """One part of bulk data: its media type, and where it waits."""

    kind: MediaType
    file: BinaryIO

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        return self.file.seek(0, io.SEEK_END)


class Metadata:
    """Takes the parts of one request; `store` makes objects of them when all are there."""

    def __init__(self, objects: Objects, max_metadata_bytes: int, reserve_bytes: int) -> None:
        self._objects, self._reserve_bytes = objects, reserve_bytes
        self._left = max_metadata_bytes
        self._text = bytearray()
        self._bulk: dict[str, Bulk] = {}
        self._now: BinaryIO | None = None
        self._is_first = True
        self._files = ExitStack()

    def __enter__(self) -> Metadata:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def begin(self, headers: Mapping[str, str]) -> None:
        """Begin the metadata, or a part of bulk data."""
        kind = media_type(headers.get("content-type", JSON if self._is_first else _OCTETS))
        if self._is_first:
            if kind.name != JSON:
                raise BadInput(f"the first part is {kind.name[:80]}, not {JSON}")
            return
        location = headers.get("content-location", "")
        if not location or location in self._bulk:
            raise BadInput("a part of bulk data has no Content-Location of its own")
        require_space(LAYOUT.objects, 0, self._reserve_bytes)
        with disk_errors():
            file = self._files.enter_context(tempfile.TemporaryFile(dir=LAYOUT.objects))
        self._now, self._bulk[location] = file, Bulk(kind, file)

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the part."""
        if self._now is None:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge("the metadata is longer than PACS_STOW_MAX_METADATA_BYTES")
            self._text += chunk
            return
        require_space(LAYOUT.objects, len(chunk), self._reserve_bytes)
        with disk_errors():
            self._now.write(chunk)

    def end(self) -> None:
        """Know that the part is whole."""
        self._is_first, self._now = False, None

    def store(self) -> None:
        """Store the objects that the metadata tells of; raises BadInput where it is no JSON."""
        try:
            told = json.loads(self._text)
        except (ValueError, RecursionError):
            raise BadInput("the metadata is not JSON") from None
        instances = told if isinstance(told, list) else [told]
        if not all(isinstance(one, dict) for one in instances):
            raise BadInput("the metadata is not a list of data sets")
        for one in instances:
            self._store_one(one)

    def _store_one(self, told: dict[str, Any]) -> None:
        names = (_text(told, "00080016"), _text(told, "00080018"))
        try:
            syntax, pieces = _encoded(told, self._bulk)
            incoming = self._objects.opened(*kept_here(names[0], syntax))
            try:
                for chunk in _chunks(pieces):
                    incoming.write(chunk)
            except BaseException:
                incoming.abandon()
                raise
        except ArgensError as error:
            self._objects.fail(*names, error)
            return
        self._objects.settle(incoming, names)


def _encoded(told: dict[str, Any], bulk: Mapping[str, Bulk]) -> tuple[str, list[Piece]]:
    """Return (transfer syntax, the data set in pieces); raises NotDicom or BadInput.

    The large values at top level stay in their files.
    """
    large, small = {}, {}
    for tag, element in told.items():
        if not _is_tag(tag) or not isinstance(element, dict):
            raise NotDicom(f"{tag[:16]!r} is not an element")
        if tag[:4] == "0002" or tag in ("00083002", "00080056", "00081190"):
            continue  # of the answer that this was, not of the object
        is_large = "BulkDataURI" in element and element.get("vr") in _BULK_VRS
        (large if is_large else small)[int(tag, 16)] = element
    small[_CHARSET] = {"vr": "CS", "Value": _charset_of(small)}
    try:
        as_json = {f"{tag:08X}": element for tag, element in small.items()}
        ds = Dataset.from_json(as_json, lambda _tag, _vr, uri: _held(bulk, uri))
        pieces = _between(ds, {tag: (e, _named(bulk, e)) for tag, e in large.items()})
    except UNREADABLE as error:
        raise NotDicom(f"the metadata cannot be encoded: {error}") from None
    compressed = [s for tag, element in large.items() if (s := _syntax_of(bulk, tag, element))]
    return compressed[0] if compressed else str(ExplicitVRLittleEndian), pieces


def _charset_of(told: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Return the character set that metadata names, UTF-8 where it cannot hold all of its texts."""
    named = told.get(_CHARSET, {}).get("Value")
    text = json.dumps(list(told.values()), ensure_ascii=False)
    try:
        if named and not text.isascii():
            (only,) = named
            text.encode(python_encoding[only])
        return named or [_UTF_8]
    except (LookupError, TypeError, ValueError):
        return [_UTF_8]


def _syntax_of(bulk: Mapping[str, Bulk], tag: int, element: Mapping[str, Any]) -> str:
    """Return the syntax that a compressed part names, "" where it is not compressed."""
    kind = _named(bulk, element).kind
    if tag != _PIXEL_DATA or kind.name == _OCTETS:
        return ""
    syntax = kind.parameters.get("transfer-syntax", "")
    if not syntax:
        raise BadInput(f"bulk data of {kind.name[:40]} names no transfer-syntax")
    return syntax


def _between(ds: Dataset, large: dict[int, tuple[dict[str, Any], Bulk]]) -> list[Piece]:
    """Return the encoded data set, large values in their places."""
    pieces: list[Piece] = []
    charset, waiting = ds.SpecificCharacterSet, Dataset()
    for tag in sorted({*(int(tag) for tag in ds.keys()), *large}):
        if tag not in large:
            waiting[tag] = ds[tag]
            continue
        pieces.append(_written(waiting, charset))
        pieces += _value(tag, *large[tag])
        waiting = Dataset()
    return [*pieces, _written(waiting, charset)]


def _value(tag: int, element: Mapping[str, Any], bulk: Bulk) -> list[Piece]:
    """Return an element whose value is a part: one fragment where it is compressed (A.4)."""
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    size = bulk.size_bytes
    padding = bytes(size % 2)
    length = (size + len(padding)).to_bytes(8, "little")
    if size > _MAX_LENGTH:
        raise BadInput("a value is longer than DICOM can hold")
    if tag == _PIXEL_DATA and bulk.kind.name != _OCTETS:
        start = head + b"OB\0\0\xff\xff\xff\xff" + _ITEM + bytes(4)
        return [start + _ITEM + length[:4], bulk.file, padding + _SEQUENCE_END]
    vr = str(element["vr"]).encode("ascii")
    return [head + vr + b"\0\0" + length[:4], bulk.file, padding]


def _named(bulk: Mapping[str, Bulk], element: Mapping[str, Any]) -> Bulk:
    found = bulk.get(str(element["BulkDataURI"]))
    if found is None:
        raise BadInput(f"no part has the Content-Location {str(element['BulkDataURI'])[:80]}")
    return found


def _held(bulk: Mapping[str, Bulk], uri: str) -> bytes:
    """Return bulk data of a nested element."""
    found = _named(bulk, {"BulkDataURI": uri})
    if found.size_bytes > MAX_NESTED_BYTES:
        raise BadInput("bulk data inside a sequence is too long")
    found.file.seek(0)
    content = found.file.read()
    return content + bytes(len(content) % 2)


def _chunks(pieces: list[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            if piece:
                yield piece
            continue
        piece.seek(0)
        while chunk := piece.read(CHUNK_BYTES):
            yield chunk


def _written(ds: Dataset, charset: str | MultiValue) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    write_dataset(file, ds, charset)
    return file.getvalue()


def _text(told: Mapping[str, Any], tag: str) -> str:
    """Return the first value of an element, "" where it has none."""
    element = told.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0])[:64] if isinstance(values, list) and values else ""


def _is_tag(text: str) -> bool:
    try:
        return len(text) == 8 and int(text, 16) >= 0
    except ValueError:
        return False
