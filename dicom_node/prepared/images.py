"""Keeping what was just decoded for the next request.

Somebody who drags a window asks for the same frame many times a second: it is decoded once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.models import Instance
from dicom_node.overlay.chain import revision_of
from dicom_node.prepared.kept import LAYOUT
from dicom_node.prepared.objects import object_of, require_whole
from dicom_node.render.image_format import PIXEL_KEYWORDS
from dicom_node.render.pixels import StoredFrame, frame_count, stored_frame
from pacs_common.errors import NotFound

DECODED_BYTES = 48 << 20  # of frames kept in the memory of one process


@dataclass(frozen=True, eq=False)
class Opened:
    """One decoded frame and the object that it is of, without its pixels."""

    ds: Dataset
    frame: StoredFrame

    @property
    def size_bytes(self) -> int:
        """The memory that the frame takes, about."""
        return max(self.frame.cells.nbytes, self.frame.samples.nbytes) * 2


class _Decoded:
    """The frames that were decoded last, at most so many bytes of them."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes, self._size_bytes = limit_bytes, 0
        self._kept: OrderedDict[tuple[str, int], Opened] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int]) -> Opened | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[str, int], opened: Opened) -> None:
        with self._lock:
            if key in self._kept or opened.size_bytes > self._limit_bytes // 2:
                return
            self._kept[key] = opened
            self._size_bytes += opened.size_bytes
            while self._size_bytes > self._limit_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._size_bytes -= oldest.size_bytes


_DECODED = _Decoded(DECODED_BYTES)


def opened(instance: Instance, index: int) -> Opened:
    """Return frame `index` (from 0) of an online instance, decoded now or a moment ago.

    Raises NotFound beyond the last frame, CannotRender, NotOnline, ArgensError where its file is
    not what arrived any more, though its pixels are remembered.
    """
    key = (instance.received_sha256 + revision_of(instance.series.study.overlay), index)
    known = _DECODED.get(key)
    if known is None:
        ds = object_of(instance)
        _require_frame(ds, index)
        known = Opened(ds, stored_frame(ds, index))
        for keyword in PIXEL_KEYWORDS:
            ds.pop(keyword, None)
    path = LAYOUT.object(instance.hour, instance.uid)
    require_whole(path, instance.received_sha256, instance.verified)  # pixels are read late
    _DECODED.put(key, known)
    return known


def require_frames(instance: Instance, numbers: Iterable[int]) -> None:
    """Raise NotFound unless an image has all frames of these numbers, from 1."""
    _require_frame(object_of(instance), max(numbers) - 1)


def _require_frame(ds: Dataset, index: int) -> None:
    count = frame_count(ds)
    if index >= count:
        raise NotFound(f"the image has frames 1 to {count}")
