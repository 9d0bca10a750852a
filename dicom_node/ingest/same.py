"""What a second object of one UID is measured by: the first, as it lies here (custody rule 5)."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from dicom_node.index.entry import Entry
from dicom_node.models import Instance, NonPatientObject
from dicom_node.render.image_format import pixel_keyword
from dicom_node.render.pixels import pixel_sha256
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError

MAX_COMPARED_BYTES = 256 << 20  # of each file: a larger one is not decoded at the door
# They follow the transfer syntax, not the image.
_OF_THE_ENCODING = {
    "DataSetTrailingPadding",
    "EncapsulatedPixelDataValueTotalLength",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PlanarConfiguration",
}
_LOSSY_MARKS = {"LossyImageCompression", "LossyImageCompressionRatio"}


def is_lost(layout: Layout, known: Instance | NonPatientObject) -> bool:
    """True where a file that should be on the node's disk is gone, or not what arrived."""
    path = layout.object(known.hour, known.uid)
    if not path.exists():
        known.refresh_from_db()  # an eviction says so before it takes the file away
        is_online = getattr(known, "availability", Availability.ONLINE) == Availability.ONLINE
        return is_online and not path.exists()
    try:
        return known.damaged and part10.data_set_sha256(path) != known.received_sha256
    except (ArgensError, OSError):
        return True


def is_same_image(
    layout: Layout, known: Instance | NonPatientObject, came: Path, entry: Entry
) -> bool:
    """True where elements and decoded pixels are equal though the encodings differ."""
    path = layout.object(known.hour, known.uid)
    if not path.exists():
        return False
    if known.transfer_syntax == entry.stored.transfer_syntax and not part10.recompressed(path):
        return False
    if max(known.size_bytes, entry.stored.size_bytes) > MAX_COMPARED_BYTES:
        return False
    try:
        one, other = part10.read_object(path), part10.read_object(came)
        return compared(one) == compared(other) and pixel_sha256(one) == pixel_sha256(other)
    except (ArgensError, *part10.UNREADABLE):
        return False


def compared(ds: Dataset) -> Dataset:
    """Return the elements that are equal in every transfer syntax of one image."""
    left_out = _OF_THE_ENCODING | _LOSSY_MARKS | {pixel_keyword(ds)}
    return Dataset({e.tag: e for e in ds if e.keyword not in left_out})
