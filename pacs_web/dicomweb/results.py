"""What may be stored by somebody who may save results, but not upload images."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.tag import BaseTag
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from pacs_common.errors import BadInput, Refused, TooLarge
from pacs_web.dicomweb.body import type_and_boundary
from pacs_web.dicomweb.elements import read_elements

MOST_BYTES = 64 << 20
MOST_PARTS = 1000
_PIXELS = 0x7FE00000
_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.88.",  # structured reports
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.66.",  # segmentations, registrations, fiducials
)
_KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"  # may be a rejection note, which hides images


def require_results(content_type: str, body: Iterator[bytes], study_uid: str) -> bytes:
    """Return the whole body where it holds results of this study alone; Refused else.

    Results are small and are held in memory; more than MOST_BYTES is TooLarge.
    """
    content = _held(body)
    kind, boundary = type_and_boundary(content_type)
    objects = _parts(content, boundary) if kind == "multipart/related" else [content]
    if not objects:
        raise BadInput("there is nothing in the body")
    for one in objects:
        _require_result(one, study_uid)
    return content


def _held(body: Iterator[bytes]) -> bytes:
    taken = bytearray()
    for chunk in body:
        taken += chunk
        if len(taken) > MOST_BYTES:
            raise TooLarge(f"results of more than {MOST_BYTES} bytes are not taken")
    return bytes(taken)


def _parts(content: bytes, boundary: str) -> list[bytes]:
    parts: list[bytearray] = []

    def begin() -> None:
        if len(parts) >= MOST_PARTS:
            raise TooLarge(f"more than {MOST_PARTS} results at once are not taken")
        parts.append(bytearray())

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_part_data": lambda data, start, end: parts[-1].extend(data[start:end]),
        },
    )
    try:
        parser.write(content)
        parser.finalize()
    except FormParserError as error:
        raise BadInput(f"the parts of the body cannot be told apart: {error}") from None
    return [bytes(part) for part in parts]


def _require_result(one: bytes, study_uid: str) -> None:
    try:
        read = read_elements(one, MOST_BYTES, _is_at_pixels)
    except BadInput:
        raise BadInput("only whole DICOM files can be saved to an exam") from None
    sop_class = str(read.get("SOPClassUID", ""))
    if not sop_class.startswith(_CLASSES) or sop_class == _KEY_OBJECTS:
        raise Refused("you may save reports, presentation states and segmentations, no images")
    if str(read.get("StudyInstanceUID", "")) != study_uid:
        raise Refused("all results must belong to one exam")


def _is_at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag >= _PIXELS
