"""Is a second object of one UID the same image in another transfer syntax? (custody rule 5)"""

from __future__ import annotations

import io

from pydicom.dataset import Dataset

from dicom_node.ingest.arrival import Arrival
from dicom_node.models import Instance
from dicom_node.render.pixels import pixel_sha256
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError

# They follow the transfer syntax, not the image.
_OF_THE_ENCODING = {"PixelData", "PlanarConfiguration"}
_LOSSY_MARKS = {"LossyImageCompression", "LossyImageCompressionRatio"}


def is_same_image(layout: Layout, known: Instance, arrival: Arrival, header: part10.Header) -> bool:
    """True where elements and decoded pixels are equal though the encodings differ."""
    if known.transfer_syntax == arrival.transfer_syntax:
        return False
    path = layout.object(known.hour, known.uid)
    if not path.exists():
        return False
    try:
        stored = part10.read_object(path)
        came = part10.read_object(io.BytesIO(_as_file(arrival, known)))
        if not _same_elements(stored, header.data_set):
            return False
        return pixel_sha256(stored) == pixel_sha256(came)
    except ArgensError:
        return False


def _as_file(arrival: Arrival, known: Instance) -> bytes:
    origin = part10.Provenance(arrival.arrived_at)
    meta = part10.meta_group(known.sop_class, known.uid, arrival.transfer_syntax, origin)
    return meta + arrival.data_set


def _same_elements(one: Dataset, other: Dataset) -> bool:
    return _compared(one) == _compared(other)


def _compared(ds: Dataset) -> Dataset:
    left_out = _OF_THE_ENCODING | _LOSSY_MARKS
    return Dataset({e.tag: e for e in ds if e.keyword not in left_out and e.tag < 0x7FE00000})
