"""Data sets made in code: small, whole, and different where a test wants them to be."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom.data
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_node.custody.stub import keep_stub
from dicom_node.index.study_counts import count_evicted
from dicom_node.models import Instance
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from tests.support.data_sets import EXPLICIT, SERIES, STUDY, ct, encoded

__all__ = ["EXPLICIT", "SERIES", "STUDY", "ct", "encoded"]


def with_broken_values() -> bytes:
    """Return an object on the wire whose SeriesNumber and WindowCenter are not what they should."""
    content = encoded(ct(1))
    for whole, broken in (
        (b"\x20\x00\x11\x00IS\x02\x00", b"\x20\x00\x11\x00FD\x02\x00"),
        (b"DS\x04\x0040.0", b"DS\x04\x00none"),
    ):
        assert whole in content
        content = content.replace(whole, broken)
    return content


def without_pixels(ds: Dataset) -> Dataset:
    """Return the same object as a stored file's header shows it."""
    copy = Dataset(ds)
    del copy.PixelData
    return copy


def as_stream(content: bytes) -> io.BytesIO:
    """Return bytes as a binary file."""
    return io.BytesIO(content)


def real_file(name: str) -> tuple[bytes, str]:
    """Return (data set as a sender puts it on the wire, transfer syntax) of a file of pydicom's."""
    path = next(Path(pydicom.data.__file__).parent.glob(f"test_files/{name}"))
    syntax = str(dcmread(path, specific_tags=[]).file_meta.TransferSyntaxUID)
    with path.open("rb") as file:
        part10.data_set_offset(file)
        return file.read(), syntax


def put_away(layout: Layout, *uids: str) -> None:
    """Evict instances as custody does: the stub and thumbnail stay, the file goes."""
    for instance in Instance.every.filter(uid__in=uids).select_related("series"):
        keep_stub(layout, instance)
        layout.object(instance.hour, instance.uid).unlink()
        Instance.every.filter(id=instance.id).update(availability=Availability.NEARLINE)
        count_evicted(instance, +1)
