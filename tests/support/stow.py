"""PS3.10 files and multipart bodies as clients of STOW-RS write them, without Django."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from tests.support.data_sets import EXPLICIT, encoded

PREAMBLE = bytes(128) + b"DICM"
BOUNDARY = "a-boundary-of-tests"
STUDIES = "/dicom-web/studies"
RELATED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def meta(sop_class: str, uid: str, syntax: str = EXPLICIT) -> bytes:
    """Return preamble and group 0002, its length told."""
    elements = b"".join(
        _element(number, vr, value)
        for number, vr, value in (
            (0x0001, b"OB", b"\0\1"),
            (0x0002, b"UI", sop_class.encode()),
            (0x0003, b"UI", uid.encode()),
            (0x0010, b"UI", syntax.encode()),
        )
    )
    length = len(elements).to_bytes(4, "little")
    return PREAMBLE + _element(0x0000, b"UL", length) + elements


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    size = len(value)
    length = b"\0\0" + size.to_bytes(4, "little") if vr == b"OB" else size.to_bytes(2, "little")
    return b"\2\0" + number.to_bytes(2, "little") + vr + length + value


def as_file(ds: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Return a data set as a PS3.10 file."""
    return meta(ds.SOPClassUID, ds.SOPInstanceUID, syntax) + encoded(ds, syntax)


def body(parts: Iterable[bytes], content_type: str = "application/dicom") -> bytes:
    """Return a multipart body of these parts."""
    head = f"--{BOUNDARY}\r\nContent-Type: {content_type}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()
