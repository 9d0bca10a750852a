"""Frames of stored images: where they lie, as they lie, or in a lossless syntax and kept so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.db import connection
from pydicom import uid
from pydicom.dataset import FileDataset

from dicom_node.config import CONFIG, Keeping
from dicom_node.index.written import Written
from dicom_node.models import Instance
from dicom_node.prepared.kept import FRAMES, LAYOUT, KeptFrame
from dicom_node.prepared.objects import object_at, require_whole
from dicom_node.prepared.offsets import Map, mapped
from dicom_node.render.image_format import NATIVE
from dicom_node.render.pixels import frame_count
from dicom_node.render.transcode import frame_as
from dicom_node.store.fragments import Range
from dicom_node.store.verified import Identity
from pacs_common.errors import ArgensError, NotAcceptable, NotOnline

RAW, LOSSLESS_JPEG = str(uid.ExplicitVRLittleEndian), str(uid.JPEGLosslessSV1)
# The transfer syntaxes of each media type of codestreams, the default first (PS3.18 8.7.3.3.2).
CODESTREAMS = {
    "image/jpeg": tuple(f"1.2.840.10008.1.2.4.{last}" for last in (70, 57, 51, 50)),
    "image/jls": tuple(f"1.2.840.10008.1.2.4.{last}" for last in (80, 81)),
    "image/jp2": tuple(f"1.2.840.10008.1.2.4.{last}" for last in (90, 91)),
    "image/jphc": tuple(f"1.2.840.10008.1.2.4.{last}" for last in (201, 202, 203)),
    "image/dicom-rle": (str(uid.RLELossless),),
}
OCTETS = "application/octet-stream"
_MEDIA_TYPE = {syntax: name for name, syntaxes in CODESTREAMS.items() for syntax in syntaxes}
_MAPS_REMEMBERED = 4096


class Located(NamedTuple):
    """What is asked of the index about one instance whose frames are wanted, in this order."""

    id: int
    uid: str
    hour: str
    size_bytes: int
    transfer_syntax: str
    received_sha256: str
    verified: str | None
    availability: str
    study_id: int
    mapped_bytes: int | None
    count: int
    start: int
    stride: int
    ranges: bytes


_COLUMNS = (
    "id", "uid", "hour", "size_bytes", "transfer_syntax", "received_sha256", "verified",
    "availability", "series__study_id", "frame_map__file_bytes", "frame_map__count",
    "frame_map__start", "frame_map__stride", "frame_map__ranges",
)  # fmt: skip
_BY = ("uid", "series__uid", "series__study__uid")


def located(study_uid: str, series_uid: str, sop_uid: str) -> Located | None:
    """Return an instance and the map of its frames, by one indexed select; None where none is."""
    rows = _statement(connection.vendor).rows(
        dict(zip(_BY, (sop_uid, series_uid, study_uid), strict=True))
    )
    return Located(*rows[0]) if rows else None


@lru_cache
def _statement(_vendor: str) -> Written:
    found = Instance.objects.filter(**{name: name for name in _BY}).values_list(*_COLUMNS)
    return Written.by(found.order_by().query.get_compiler("default"))


class Frame:
    """One frame: in memory, or as ranges of an open file; whoever has it reads or closes it.

    `kept` is set where the file is its whole multipart answer.
    """

    __slots__ = ("_content", "_handle", "_ranges", "kept")

    def __init__(
        self,
        content: bytes = b"",
        handle: int = -1,
        ranges: list[Range] | None = None,
        kept: KeptFrame | None = None,
    ) -> None:
        self._content, self._handle, self._ranges, self.kept = content, handle, ranges, kept

    def read(self) -> bytes:
        """Return its bytes and close it; raises NotOnline where the file was cut meanwhile."""
        if self._handle < 0:
            return self._content
        try:
            parts = [os.pread(self._handle, size, start) for start, size in self._ranges or ()]
        finally:
            self.close()
        if any(len(part) < size for part, (_, size) in zip(parts, self._ranges or (), strict=True)):
            raise NotOnline("the file ends early")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def window(self) -> Window | None:
        """Return the one range of the file that it is, to be sent and closed; None if it is not."""
        if self._handle < 0 or self._ranges is None or len(self._ranges) != 1:
            return None
        return self._opened(*self._ranges[0])

    def whole_answer(self) -> Window | None:
        """Return the file that is its multipart answer, to be sent and closed; None if none is."""
        return None if self.kept is None else self._opened(0, self.kept.size_bytes)

    def _opened(self, start: int, size_bytes: int) -> Window:
        handle, self._handle = self._handle, -1
        return Window(handle, start, size_bytes)

    def close(self) -> None:
        """Let go of the file; harmless where it was read."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class Window:
    """A range of an open file, as a WSGI server sends it: from `fileno`, or by `read`."""

    def __init__(self, handle: int, start: int, size_bytes: int) -> None:
        self._handle, self._left = handle, size_bytes
        self.size_bytes = size_bytes
        os.lseek(handle, start, os.SEEK_SET)

    def fileno(self) -> int:
        """Return the descriptor, which stands at the beginning of the range."""
        return self._handle

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the range."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = os.read(self._handle, wanted)
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Let go of the file."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class Source:
    """The frames of one stored image; parses the object only where it cannot do without."""

    def __init__(self, located: Located, *, keeps: bool = CONFIG.renditions != Keeping.OFF) -> None:
        self._located, self._keeps = located, keeps
        self._path = LAYOUT.object(located.hour, located.uid)
        self._parsed: FileDataset | None = None

    @property
    def count(self) -> int:
        """The number of frames; raises CannotRender where it has no pixels, NotOnline."""
        return self._map().count or frame_count(self.object)

    @property
    def object(self) -> FileDataset:
        """The parsed object; raises NotOnline where it was evicted, ArgensError where damaged."""
        if self._parsed is None:
            one = self._located
            self._parsed = object_at(self._path, one.received_sha256, one.verified)
        return self._parsed

    def frame(self, index: int, syntax: str) -> Frame:
        """Return frame `index` (from 0) as stored, raw little endian, or lossless in a syntax.

        Raises NotAcceptable where the syntax cannot hold it, CannotRender, NotOnline.
        """
        stored = self._located.transfer_syntax
        if syntax == (RAW if stored in NATIVE else stored):
            return self._as_stored(index) or Frame(frame_as(self.object, index, syntax))
        if syntax not in _MEDIA_TYPE:
            return Frame(frame_as(self.object, index, syntax))
        return self._kept_or_made(index, syntax)

    def key(self, index: int, syntax: str) -> str:
        """Return what a frame's rendition is kept by: the same as long as its pixels are."""
        return f"{self._located.received_sha256}/frame/{index}/{syntax}"

    def _kept_or_made(self, index: int, syntax: str) -> Frame:
        key, content_type = self.key(index, syntax), content_type_of(syntax)
        kept = FRAMES.find(key, content_type)
        if kept is not None:
            return Frame(handle=kept.handle, ranges=[(kept.start, kept.length)], kept=kept)
        try:
            content = frame_as(self.object, index, syntax)
        except NotAcceptable as refusal:
            if self._keeps and index < self.count and self._require_whole():
                FRAMES.put_refusal(key, str(refusal))
            raise
        if self._keeps and self._require_whole():
            FRAMES.put(key, content_type, content)
        return Frame(content)

    def _as_stored(self, index: int) -> Frame | None:
        map_ = self._map()
        if index >= map_.count:
            return None
        with _missing_is_not_online():
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        if os.fstat(handle).st_size != map_.file_bytes:  # replaced, or damaged
            os.close(handle)
            return None
        try:
            self._require_whole()
        except ArgensError:
            os.close(handle)
            raise
        return Frame(handle=handle, ranges=map_.of(index))

    def _map(self) -> Map:
        one = self._located
        if one.mapped_bytes == one.size_bytes:
            return Map(one.mapped_bytes, one.count, one.start, one.stride, bytes(one.ranges))
        with _missing_is_not_online():
            identity = Identity.of(self._path.stat())
            if identity.size_bytes != one.size_bytes:
                return Map(one.size_bytes)
            self._require_whole()  # a damaged header maps other bytes, which would be remembered
            return _map_of(self._path, identity)

    def _require_whole(self) -> bool:
        """Return true; raises ArgensError where the file is not what arrived, or not any more."""
        one = self._located
        require_whole(self._path, one.received_sha256, one.verified)
        return True


def content_type_of(syntax: str, media_type: str = "") -> str:
    """Return the content type of a frame in a transfer syntax."""
    return f"{media_type or _MEDIA_TYPE.get(syntax, OCTETS)}; transfer-syntax={syntax}"


@lru_cache(_MAPS_REMEMBERED)
def _map_of(path: Path, _identity: Identity) -> Map:
    """Return the map of a file that was not prepared, again when it was written anew."""
    return mapped(path)


@contextmanager
def _missing_is_not_online() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotOnline("the file is not on the node's disk") from None
