"""Corrections applied to an encoded object: its head is written anew, its pixels stay in the file.

What a correction changes is told in the Original Attributes Sequence (PS3.3 C.12.1, 0400,0561),
one item for each; an object that shows the corrected values itself is left as it is.
"""

from __future__ import annotations

import io
import struct
import zlib
from datetime import UTC, datetime
from typing import BinaryIO

from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.overlay.chain import unpacked
from dicom_node.overlay.elements import (
    PIXELS,
    Element,
    Source,
    coding_at,
    elements,
)
from dicom_node.overlay.head import SYSTEM, Head
from dicom_node.overlay.pieces import Piece, Pieces
from dicom_node.store import part10
from dicom_node.store.blobs import CHUNK_BYTES
from dicom_node.store.inflate import Inflater
from dicom_node.store.texts import CHARSET, Coding
from pacs_common.errors import NotDicom

_NEVER = datetime.min.replace(tzinfo=UTC)


def corrected(file: BinaryIO, overlay: str) -> BinaryIO:
    """Return a stored file as it is shown; `file` itself, at its beginning, where nothing changes.

    The file that is returned closes the other one. Raises NotDicom where it cannot be read.
    """
    file.seek(0)
    if not overlay:
        return file
    try:
        pieces = _file_pieces(file, overlay)
    except (struct.error, *part10.UNREADABLE) as fault:
        raise NotDicom(f"the data set cannot be read: {fault}") from None
    file.seek(0)
    return file if pieces is None else Pieces(file, pieces)


def data_set_pieces(
    file: BinaryIO, start: int, coding: Coding, overlay: str, sender: str = ""
) -> list[Piece] | None:
    """Return the data set from `start` on as pieces of its file; None where nothing changes.

    `sender` is told as the source of the values that the first correction replaced. Raises
    NotDicom, struct.error.
    """
    end = file.seek(0, io.SEEK_END)
    source = Source(file, end)
    coding = coding_at(source, start, end, coding)
    head, rest = _head(source, start, coding)
    own = next((one for one in head if one.tag == CHARSET), None)
    if own is not None:
        raw = source.read(own.value_at, own.length)
        coding = coding._replace(charset=raw.decode("latin_1").strip(" \0"))
    shown = Head(source, coding, head, overlay)
    for number, change in enumerate(unpacked(overlay)):
        shown.apply(change, sender if number == 0 else SYSTEM)
    return None if not shown.told else [*shown.pieces(), (rest, end - rest)]


def _file_pieces(file: BinaryIO, overlay: str) -> list[Piece] | None:
    start = part10.data_set_offset(file)
    file.seek(0)
    meta = dcmread(io.BytesIO(file.read(start))).file_meta
    origin = part10.provenance(meta, _NEVER)
    syntax = str(meta.get("TransferSyntaxUID", ""))
    coding = Coding(
        is_implicit=syntax == ImplicitVRLittleEndian,
        is_little_endian=syntax != ExplicitVRBigEndian,
        fallback_charset=origin.fallback_charset,
    )
    if syntax != DeflatedExplicitVRLittleEndian:
        pieces = data_set_pieces(file, start, coding, overlay, origin.source_ae)
        return None if pieces is None else [(0, start), *pieces]
    plain = inflated(file)
    pieces = data_set_pieces(plain, 0, coding, overlay, origin.source_ae)
    return None if pieces is None else [(0, start), _deflated(Pieces(plain, pieces))]


def inflated(file: BinaryIO) -> io.BytesIO:
    """Return what the rest of a file inflates to, in memory."""
    inflater, body = Inflater(), io.BytesIO()
    while chunk := file.read(CHUNK_BYTES):
        for piece in inflater.inflate(chunk):
            body.write(piece)
    body.seek(0)
    return body


def _deflated(content: Pieces) -> bytes:
    """Return PS3.5 A.5: a bare deflated stream of even length."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    parts = []
    with content:
        while chunk := content.read(CHUNK_BYTES):
            parts.append(deflate.compress(chunk))
    body = b"".join((*parts, deflate.flush()))
    return body + b"\0" * (len(body) % 2)


def _head(source: Source, start: int, coding: Coding) -> tuple[list[Element], int]:
    """Return the elements before the pixels, and where those begin."""
    found, position = [], start
    for one in elements(source, start, source.end, coding):
        if one.tag >= PIXELS:
            return found, one.at
        found.append(one)
        position = one.end
    return found, position
