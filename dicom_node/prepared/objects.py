"""Reading stored objects for what is made of them, and where that is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import FileDataset

from dicom_node.models import Instance
from dicom_node.overlay.apply import corrected
from dicom_node.overlay.datasets import as_shown
from dicom_node.prepared.intact import require_intact
from dicom_node.prepared.kept import LAYOUT
from dicom_node.store import part10
from pacs_common.errors import ArgensError, NotDicom, NotOnline

_GONE = "the file is not on the node's disk"


def object_of(instance: Instance) -> FileDataset:
    """Read an online instance's file, like `object_at`, as corrections show it."""
    path, overlay = LAYOUT.object(instance.hour, instance.uid), instance.series.study.overlay
    ds = object_at(path, instance.received_sha256, instance.verified)
    try:
        return as_shown(ds, path, overlay)
    except FileNotFoundError:
        raise NotOnline(_GONE) from None
    except NotDicom as error:
        raise ArgensError(f"the stored file is damaged: {error}") from None


def require_whole(path: Path, received_sha256: str, marked: str | None) -> None:
    """Raise ArgensError where a stored file is not what arrived, NotOnline where it is gone.

    `marked` is what the index remembers of its verification.
    """
    try:
        require_intact(path, received_sha256, marked)
    except FileNotFoundError:
        raise NotOnline(_GONE) from None


def open_of(instance: Instance) -> BinaryIO:
    """Open an online instance's file as it is stored; raises like `require_whole`."""
    path = LAYOUT.object(instance.hour, instance.uid)
    require_whole(path, instance.received_sha256, instance.verified)
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotOnline(_GONE) from None


def file_shown(instance: Instance) -> tuple[BinaryIO, str]:
    """Open an online instance's file as it is shown (corrected, or as it is stored); its syntax.

    The syntax is another one than the row's where the file was compressed since that was read.
    """
    file, syntax = open_of(instance), instance.transfer_syntax
    try:
        if os.fstat(file.fileno()).st_size != instance.size_bytes:  # whole, so it was not cut
            syntax = str(part10.read_header(file).file_meta.TransferSyntaxUID)
        return corrected(file, instance.series.study.overlay), syntax
    except NotDicom as error:
        file.close()
        raise ArgensError(f"the stored file is damaged: {error}") from None


def object_at(path: Path, received_sha256: str, marked: str | None) -> FileDataset:
    """Read a stored file; raises NotOnline where it was evicted a moment ago.

    A file that is not what arrived any more is not read: ArgensError.
    """
    require_whole(path, received_sha256, marked)
    try:
        return part10.read_object(path)
    except FileNotFoundError:
        raise NotOnline(_GONE) from None
    except NotDicom as error:
        raise ArgensError(f"the stored file is damaged: {error}") from None
