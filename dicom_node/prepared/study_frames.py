"""The frames of a whole study before anybody asks: their maps, and their lossless JPEG."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dicom_node.models import FrameMap, Instance, Study
from dicom_node.prepared.frames import LOSSLESS_JPEG, Located, Source, content_type_of
from dicom_node.prepared.kept import FRAMES, LAYOUT
from dicom_node.prepared.objects import require_whole
from dicom_node.prepared.offsets import Map, mapped
from dicom_node.render.image_format import NATIVE
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, NotAcceptable

GoesOn = Callable[[], bool]
_CONTENT_TYPE = content_type_of(LOSSLESS_JPEG)


@dataclass
class Saving:
    """What lossless JPEG makes of frames: how many shrank, and their bytes before and after."""

    images: int = 0
    original_bytes: int = 0
    rendition_bytes: int = 0
    saved_bytes: int = 0

    def add(self, original_bytes: int, rendition_bytes: int) -> None:
        """Count one frame."""
        self.images += 1
        self.original_bytes += original_bytes
        self.rendition_bytes += rendition_bytes


def images_of(study: Study) -> Iterable[Instance]:
    """Yield the images of a study whose files are here and whole, in the order of arrival."""
    online = Instance.objects.filter(
        series__study=study, availability=Availability.ONLINE, damaged=False, rows__isnull=False
    )
    for number in list(online.order_by("id").values_list("id", flat=True)):
        found = online.filter(id=number).select_related("frame_map").first()
        if found is not None:
            yield found


def map_frames(image: Instance) -> Map | None:
    """Return where an image's frames lie, and keep that in the index.

    None where its file went, or is not what arrived: another header maps other bytes.
    """
    known = getattr(image, "frame_map", None)
    if known is not None and known.file_bytes == image.size_bytes:
        return Map(known.file_bytes, known.count, known.start, known.stride, bytes(known.ranges))
    path = LAYOUT.object(image.hour, image.uid)
    try:
        require_whole(path, image.received_sha256, image.verified)
        map_ = mapped(path)
        require_whole(path, image.received_sha256, image.verified)  # it was so all the while
    except (ArgensError, FileNotFoundError):
        return None
    if map_.file_bytes != image.size_bytes:
        return None
    kept = {"count": map_.count, "start": map_.start, "stride": map_.stride}
    FrameMap.objects.update_or_create(
        instance_id=image.id,
        defaults={**kept, "file_bytes": map_.file_bytes, "ranges": map_.ranges},
    )
    return map_


def keep_lossless(image: Instance, map_: Map, saving: Saving, goes_on: GoesOn) -> None:
    """Keep the lossless JPEG of an uncompressed image's frames that is not kept yet, and count it.

    A frame that it does not hold, or that cannot be decoded, is left as it is; a damaged file too.
    """
    if image.transfer_syntax not in NATIVE:
        return
    source = Source(_located(image, map_))
    try:
        for index in range(source.count):
            if not goes_on():
                return
            size = _kept_bytes(source, index)
            if size and map_.stride:
                saving.add(map_.stride, size)
    except ArgensError:  # who asks is told why
        return


def _kept_bytes(source: Source, index: int) -> int:
    """Return the bytes of a frame's lossless JPEG, made now where it is not kept; 0 without."""
    key = source.key(index, LOSSLESS_JPEG)
    size = FRAMES.size_of(key, _CONTENT_TYPE)
    if size is not None:
        return size
    try:
        return len(source.frame(index, LOSSLESS_JPEG).read())
    except NotAcceptable:
        return 0


def _located(image: Instance, map_: Map) -> Located:
    return Located(
        image.id, image.uid, image.hour, image.size_bytes, image.transfer_syntax,
        image.received_sha256, image.verified, image.availability, 0, map_.file_bytes, map_.count,
        map_.start, map_.stride, map_.ranges,
    )  # fmt: skip
