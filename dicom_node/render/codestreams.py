"""The headers of compressed frames: enough to judge a codestream before a decoder sees it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_LOSSLESS_SOFS = (0xC3, 0xC7, 0xCB, 0xCF)  # ISO/IEC 10918-1 table B.1
_JPEG_LS_SOF = 0xF7
_NOT_SOF = (0xC4, 0xC8, 0xCC)  # DHT, JPG, DAC share the range of the frame headers
_ADOBE_BYTES = 12  # decoders pass over a shorter Adobe segment
_J2K_START = b"\xff\x4f\xff\x51"  # SOC, SIZ
_MAX_TILES = 65535
_J2K_SEARCH_BYTES = 4096  # a JP2 box or two may stand before the codestream


@dataclass(frozen=True)
class FrameHeader:
    """Size, precision and kind of one codestream."""

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool
    reproducible: bool
    """True where every conforming decoder gives the same values."""
    component_ids: bytes = b""
    names_colours: bool = False
    """True where a JFIF or Adobe segment tells the decoder the colours."""


def jpeg_header(data: bytes) -> FrameHeader:
    """Return the frame header of a JPEG or JPEG-LS codestream; ValueError where there is none."""
    position = data.find(b"\xff\xd8") + 2
    if position < 2:
        raise ValueError("no JPEG codestream")
    names_colours = False
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise ValueError("a JPEG marker is damaged")
        code = data[position + 1]
        if code == 0xFF:  # fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if code == _JPEG_LS_SOF or (0xC0 <= code <= 0xCF and code not in _NOT_SOF):
            return _sof(code, data[position + 4 : position + 2 + length], names_colours)
        names_colours |= _names_colours(code, data[position + 4 : position + 2 + length])
        position += 2 + length
    raise ValueError("the JPEG codestream has no frame header")


def _names_colours(code: int, body: bytes) -> bool:
    if code == 0xE0:
        return body.startswith(b"JFIF\0")
    return code == 0xEE and body.startswith(b"Adobe") and len(body) >= _ADOBE_BYTES


def _sof(code: int, body: bytes, names_colours: bool) -> FrameHeader:
    precision, rows, columns, components = struct.unpack_from(">BHHB", body)
    return FrameHeader(
        rows=rows,
        columns=columns,
        components=components,
        precision=precision,
        signed=False,
        reproducible=code in _LOSSLESS_SOFS or code == _JPEG_LS_SOF,
        component_ids=body[6 : 6 + 3 * components : 3],
        names_colours=names_colours,
    )


def j2k_header(data: bytes) -> FrameHeader:
    """Return the header of a JPEG 2000 or HTJ2K codestream; ValueError where there is none."""
    start = data.find(_J2K_START, 0, _J2K_SEARCH_BYTES)
    if start < 0:
        raise ValueError("no JPEG 2000 codestream")
    x, y, x_offset, y_offset = struct.unpack_from(">4I", data, start + 8)
    tiles = struct.unpack_from(">4I", data, start + 24)
    _check_tiles((x, y), (x_offset, y_offset), tiles[:2], tiles[2:])
    (components,) = struct.unpack_from(">H", data, start + 40)
    depth = data[start + 42]
    return FrameHeader(
        rows=y - y_offset,
        columns=x - x_offset,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        reproducible=_is_reversible(data, start + 2),
    )


def _check_tiles(
    ends: tuple[int, ...], offsets: tuple[int, ...], sizes: tuple[int, ...], first: tuple[int, ...]
) -> None:
    """Refuse what ISO/IEC 15444-1 B.3 forbids: over such tiles a decoder may work for ever."""
    count = 1
    for end, offset, size, origin in zip(ends, offsets, sizes, first, strict=True):
        if not origin <= offset < end or not 0 < size or origin + size <= offset:
            raise ValueError("the tiles of the codestream do not cover the image")
        count *= -(-(end - origin) // size)
    if count > _MAX_TILES:
        raise ValueError("the codestream has more tiles than can be numbered")


def _is_reversible(data: bytes, position: int) -> bool:
    """Whether the first COD segment names the 5-3 wavelet (ISO/IEC 15444-1 table A.20)."""
    while position + 14 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == 0x52:
            return data[position + 13] == 1
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return False
