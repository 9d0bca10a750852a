"""What stays of an evicted instance: its file without bulk data, and its thumbnail."""

from __future__ import annotations

import io
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_node.models import Instance
from dicom_node.overlay.datasets import as_shown
from dicom_node.render.rendition import thumbnail
from dicom_node.store import blobs, part10
from dicom_node.store.layout import OBJECT, STUB, THUMBNAIL, Layout
from pacs_common.errors import ArgensError, Conflict, NotDicom

LARGE_VALUE_BYTES = 64 << 10
_BULK_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


def keep_stub(layout: Layout, instance: Instance) -> None:
    """Write the stub and the thumbnail of an instance durably, unless they are there.

    Raises Conflict where another eviction takes the file at this moment.
    """
    path = layout.object(instance.hour, instance.uid)
    stub = layout.object(instance.hour, instance.uid, STUB)
    if path.exists() and not stub.exists():
        try:
            write_stub(layout, instance.hour, instance.uid, path)
        except FileNotFoundError:
            raise Conflict("another eviction has just taken this instance") from None


def write_stub(layout: Layout, hour: str, uid: str, path: Path) -> None:
    """Write the stub and the thumbnail of a file durably; those that are there stay."""
    stub = layout.object(hour, uid, STUB)
    picture = _picture(part10.read_object(path))
    if picture:
        _write(layout.object(hour, uid, THUMBNAIL), picture)
    _write(stub, _stub(path))
    blobs.sync_folder(stub.parent)


def object_or_stub(layout: Layout, instance: Instance) -> Dataset:
    """Return the whole object, or after eviction its stub, as corrections show it."""
    for suffix in (OBJECT, STUB):
        path = layout.object(instance.hour, instance.uid, suffix)
        try:
            return as_shown(part10.read_object(path), path, instance.series.study.overlay)
        except FileNotFoundError:
            continue
        except NotDicom as error:
            raise ArgensError(f"the stored file is damaged: {error}") from None
    raise ArgensError("neither the file nor its stub is on the node's disk")


def _picture(ds: Dataset) -> bytes:
    try:
        return thumbnail(ds)
    except ArgensError:
        return b""  # not everything has pixels


def _stub(path: Path) -> bytes:
    """Return the file without bulk data; what cannot be written anew keeps its header as it is."""
    try:
        return _without_bulk(part10.read_object(path))
    except part10.UNREADABLE:
        with path.open("rb") as file:
            start = part10.data_set_offset(file)
            body = file.read()
        syntax = str(part10.read_header(path).file_meta.TransferSyntaxUID)
        header = part10.parse_header(body, syntax)
        return path.read_bytes()[:start] + body[: header.stopped_at]


def _without_bulk(ds: Dataset) -> bytes:
    for tag in [tag for tag in ds.keys() if tag >= 0x7FE00000]:
        del ds[tag]
    ds.walk(_drop_bulk)
    if ds.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=False)
    return buffer.getvalue()


def _drop_bulk(ds: Dataset, element: object) -> None:
    if element.VR in _BULK_VRS and len(element.value or b"") > LARGE_VALUE_BYTES:
        del ds[element.tag]


def _write(path: object, content: bytes) -> None:
    try:
        blobs.write(path, [content])
    except blobs.AlreadyThere:
        pass  # a run that was killed had come this far
