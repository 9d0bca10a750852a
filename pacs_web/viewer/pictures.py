"""A series as the sequence of pictures that a person scrolls through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pacs_web.federation.dicom_json import Attributes, numbers, text, whole

Picture = dict[str, Any]
LAST = float("inf")
MAX_FRAMES = 20_000  # more than any loop or stack; a header may claim a milliard


def sorted_instances(answers: Iterable[Attributes]) -> list[Attributes]:
    """Return instances by Instance Number, then by position along the stack, then by UID."""
    return sorted(answers, key=_order)


def _order(answer: Attributes) -> tuple[float, float, str]:
    number = whole(answer, "InstanceNumber")
    return (LAST if number is None else number, _depth(answer), text(answer, "SOPInstanceUID"))


def _depth(answer: Attributes) -> float:
    """Return the distance of the slice along the normal of its plane (PS3.3 C.7.6.2.1.1)."""
    place = numbers(answer, "ImagePositionPatient")
    plane = numbers(answer, "ImageOrientationPatient")
    if len(place) != 3 or len(plane) != 6:
        return next(iter(numbers(answer, "SliceLocation")), 0.0)
    row, column = plane[:3], plane[3:]
    normal = (
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    )
    return sum(n * p for n, p in zip(normal, place, strict=True))


def pictures_of(answers: Iterable[Attributes], modality: str) -> list[Picture]:
    """Return one entry for each frame, in the order of scrolling, as the viewer reads them."""
    return [
        picture
        for answer in sorted_instances(answers)
        for picture in _pictures_of_one(answer, modality)
    ]


def _pictures_of_one(answer: Attributes, modality: str) -> list[Picture]:
    frames = min(MAX_FRAMES, max(1, whole(answer, "NumberOfFrames") or 1))
    columns, rows = whole(answer, "Columns") or 0, whole(answer, "Rows") or 0
    base = {
        "uid": text(answer, "SOPInstanceUID"),
        "number": whole(answer, "InstanceNumber"),
        "frames": frames,
        "columns": columns,
        "rows": rows,
        "pixels": bool(columns and rows),
        "window": first_window(answer),
        "drag_from": first_window(answer) or window_to_drag_from(answer, modality),
        "colour": text(answer, "PhotometricInterpretation")
        not in {"", "MONOCHROME1", "MONOCHROME2"},
        "laterality": text(answer, "ImageLaterality"),
        "orientation": text(answer, "PatientOrientation").replace("\\", " / "),
        "online": text(answer, "InstanceAvailability") in {"", "ONLINE"},
    }
    if frames == 1:
        return [{**base, "frame": None}]
    return [{**base, "frame": frame} for frame in range(1, frames + 1)]


def first_window(answer: Attributes) -> list[float] | None:
    """Return [centre, width] of the first VOI window of the file, or None."""
    centres, widths = numbers(answer, "WindowCenter"), numbers(answer, "WindowWidth")
    if centres and widths and widths[0] >= 1:
        return [centres[0], widths[0]]
    return None


def window_to_drag_from(answer: Attributes, modality: str) -> list[float]:
    """Return where dragging begins in an image that names no window of its own."""
    if modality == "CT":
        return [40, 400]
    whole_range = 2 ** min(32, max(1, whole(answer, "BitsStored") or 8))
    return [whole_range / 2, whole_range]
