"""The bytes of documents and films; those of a film stay in its file until they are sent."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import BinaryIO

from dicom_node.models import Instance
from dicom_node.prepared.objects import open_of
from dicom_node.render.image_format import VIDEO
from dicom_node.store import part10
from dicom_node.store.fragments import UNDEFINED, Range, fragments, offset_table, pixel_element
from pacs_common.errors import ArgensError, CannotRender

_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104."
_MPEG_2 = ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+\Z")
_PIXELS = 0x7FE00010


@dataclass(frozen=True)
class Content:
    """An open file and where in it the content lies; whoever has it closes the file."""

    file: BinaryIO
    stretches: list[Range]
    media_type: str


def is_document(sop_class_uid: str) -> bool:
    """Return whether objects of a SOP Class hold a document: PDF, CDA, STL, OBJ, MTL."""
    return sop_class_uid.startswith(_DOCUMENTS)


def is_film(transfer_syntax_uid: str) -> bool:
    """Return whether a transfer syntax is one of films, whose frames are no pictures."""
    return transfer_syntax_uid.startswith(VIDEO)


def content_of(instance: Instance) -> Content:
    """Return a document or a film; raises CannotRender where it is none or is damaged."""
    file = open_of(instance)
    try:
        find = _film if is_film(instance.transfer_syntax) else _document
        return find(file, instance)
    except BaseException as fault:
        file.close()
        if isinstance(fault, ArgensError) or not isinstance(fault, part10.UNREADABLE):
            raise
        raise CannotRender("the content of this object cannot be read") from None


def _document(file: BinaryIO, _instance: Instance) -> Content:
    ds = part10.read_header(file)
    if "EncapsulatedDocument" not in ds:
        raise CannotRender("this object has no document in it")
    content = bytes(ds.EncapsulatedDocument or b"")
    length = ds.get("EncapsulatedDocumentLength")
    content = content[: int(length)] if length else content
    said = str(ds.get("MIMETypeOfEncapsulatedDocument") or "").strip().lower()
    media_type = said if _MEDIA_TYPE.match(said) else "application/octet-stream"
    file.close()
    return Content(io.BytesIO(content), [(0, len(content))], media_type)


def _film(file: BinaryIO, instance: Instance) -> Content:
    """Find the fragments of a film, whose joined bytes are an MPEG stream (PS3.5 8.2.5)."""
    part10.read_header(file)  # it leaves the file at the pixels
    if pixel_element(file) != (_PIXELS, UNDEFINED):
        raise CannotRender("this film is not stored in fragments")
    offset_table(file)
    found = fragments(file)
    file.seek(found[0][0])
    return Content(file, found, _film_type(file.read(12), instance.transfer_syntax))


def _film_type(first: bytes, transfer_syntax: str) -> str:
    """Return the media type of a film's container, by its first bytes."""
    if first[4:8] == b"ftyp":
        return "video/mp4"
    if transfer_syntax.startswith(_MPEG_2):
        return "video/mpeg"
    return "video/mp2t" if first[:1] == b"G" else "video/mp4"
