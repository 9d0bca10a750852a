"""Parsed objects as corrections show them; their pixels stay on disk."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import FileDataset

from dicom_node.overlay.apply import corrected
from dicom_node.overlay.elements import PIXELS
from dicom_node.store import part10


def as_shown(ds: FileDataset, path: Path, overlay: str) -> FileDataset:
    """Return the data set that was read from `path` as it is shown; raises NotDicom."""
    if not overlay:
        return ds
    with path.open("rb") as stored, corrected(stored, overlay) as file:
        if file is stored:
            return ds
        head = part10.read_header(file)
    elements = {tag: head.get_item(tag) for tag in head.keys() if tag < PIXELS}
    elements |= {tag: ds.get_item(tag, keep_deferred=True) for tag in ds.keys() if tag >= PIXELS}
    is_implicit, is_little_endian = head.original_encoding
    shown = FileDataset(
        ds.buffer or str(path), elements, ds.preamble, ds.file_meta, is_implicit, is_little_endian
    )
    shown.set_original_encoding(is_implicit, is_little_endian, head.original_character_set)
    return shown
