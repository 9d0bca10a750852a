"""A stored object as a PS3.10 file in the transfer syntax that a caller takes (PS3.18 8.7.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

from pydicom import uid
from pydicom.dataset import FileDataset

from dicom_node.dicomweb.accept import ANY
from dicom_node.models import Instance
from dicom_node.prepared.objects import file_shown, object_of
from dicom_node.render.image_format import pixel_keyword
from dicom_node.render.transcode import COMPRESSED, OFFERED, encoded
from dicom_node.store import part10
from dicom_node.store.blobs import CHUNK_BYTES
from pacs_common.errors import CannotRender, NotAcceptable

EXPLICIT = str(uid.ExplicitVRLittleEndian)
HELD_IN_MEMORY_BYTES = 8 << 20
TOO_LONG_BYTES = 1 << 30  # uncompressed; what is longer comes as it is stored
LOSSY = {
    *(f"1.2.840.10008.1.2.4.{last}" for last in (50, 51, 81, 91, 203)),
    *(f"1.2.840.10008.1.2.4.{last}" for last in (92, 93, 94, 95)),  # JPIP and JPEG 2000 part 2
}


@dataclass(frozen=True)
class EncodedObject:
    """A whole file, checked, open at its beginning: whoever reads it closes it."""

    transfer_syntax: str
    file: BinaryIO
    size_bytes: int
    is_stored_file: bool = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the file, and close it."""
        left = self.size_bytes  # asking for more than there is would take memory for it first
        with self.file:
            while chunk := self.file.read(min(CHUNK_BYTES, left)):
                left -= len(chunk)
                yield chunk


def is_possible(syntax: str | None, stored: Iterable[str]) -> bool:
    """Return whether objects that are stored so may be had in a syntax (None: the default)."""
    return syntax in (None, ANY, *OFFERED) or {syntax} == set(stored)


def encoded_object(instance: Instance, syntaxes: Sequence[str | None]) -> EncodedObject:
    """Return the object in the first of these syntaxes that can hold it.

    None is the default: Explicit VR Little Endian, or as it is stored where it is lossy, grows
    too long or cannot be decoded (PS3.18 8.7.3.3); `*` is as it is stored. What has no pixels is
    Explicit VR Little Endian in place of a compressed syntax. The file is whole when it is
    returned. Raises NotAcceptable or CannotRender where none of them can hold it.
    """
    stored = instance.transfer_syntax
    ds: FileDataset | None = None
    fault: NotAcceptable | CannotRender = NotAcceptable("no transfer syntax is accepted")
    for target in _targets(instance, syntaxes):
        if target == stored:
            return _stored(instance, syntaxes)
        ds = object_of(instance) if ds is None else ds
        plain = target in COMPRESSED and pixel_keyword(ds) is None
        try:
            return _written(instance, ds, EXPLICIT if plain else target)
        except (NotAcceptable, CannotRender) as error:
            fault = error
    raise type(fault)(f"{instance.uid} (stored as {stored}): {fault}")


def _targets(instance: Instance, syntaxes: Sequence[str | None]) -> Iterator[str]:
    stored = instance.transfer_syntax
    for syntax in syntaxes:
        if syntax == ANY:
            yield stored
        elif syntax is not None:
            yield syntax
        else:
            if stored not in LOSSY and _uncompressed_bytes(instance) <= TOO_LONG_BYTES:
                yield EXPLICIT
            yield stored


def _uncompressed_bytes(instance: Instance) -> int:
    """Return how long the pixels are at most, as the index knows them."""
    held = instance.shown
    bits = str(held.get("BitsAllocated", "16"))
    samples = 1 if str(held.get("PhotometricInterpretation", "")).startswith("MONO") else 3
    cells = (instance.rows or 0) * (instance.columns or 0) * (instance.frames or 1) * samples
    return cells * (int(bits) if bits.isdecimal() and len(bits) < 4 else 16) // 8


def _stored(instance: Instance, syntaxes: Sequence[str | None]) -> EncodedObject:
    file, syntax = file_shown(instance)
    if syntax != instance.transfer_syntax:  # compressed since its row was read
        file.close()
        now = copy(instance)
        now.transfer_syntax = syntax
        return encoded_object(now, syntaxes)
    size = file.seek(0, 2)
    file.seek(0)
    return EncodedObject(instance.transfer_syntax, file, size, is_stored_file=True)


def _written(instance: Instance, ds: FileDataset, target: str) -> EncodedObject:
    """Return the object written anew; long ones pass through a temporary file."""
    origin = part10.provenance(ds.file_meta, instance.arrived_at)
    file = SpooledTemporaryFile(HELD_IN_MEMORY_BYTES)
    try:
        file.write(part10.meta_group(instance.sop_class, instance.uid, target, origin))
        for part in encoded(ds, target):
            file.write(part)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    return EncodedObject(target, file, size)
