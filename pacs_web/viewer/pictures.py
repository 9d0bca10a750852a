"""A series as the sequence of pictures that a person scrolls through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pacs_web.federation.dicom_json import Attributes, numbers, text, whole
from pacs_web.viewer.frames import frames_of
from pacs_web.viewer.geometry import dot, edges_of, normal_of, place_of, plane_of
from pacs_web.viewer.kinds import Kind, kind_of
from pacs_web.viewer.units import Unit, unit_of

Picture = dict[str, Any]
LAST = float("inf")
MOST_A_SECOND = 15.0  # of a loop, unless a person asks for more


def sorted_instances(answers: Iterable[Attributes]) -> list[Attributes]:
    """Return instances by Instance Number, then by position along the stack, then by UID."""
    numbered = [(_number(answer), answer) for answer in answers]
    times = Counter(number for number, _ in numbered)

    def order(one: tuple[float, Attributes]) -> tuple[float, float, str]:
        number, answer = one
        depth = _depth(answer) if times[number] > 1 else 0.0
        return number, depth, text(answer, "SOPInstanceUID")

    return [answer for _, answer in sorted(numbered, key=order)]


def _number(answer: Attributes) -> float:
    number = whole(answer, "InstanceNumber")
    return LAST if number is None else number


def _depth(answer: Attributes) -> float:
    """Return the distance of the slice along the normal of its plane (PS3.3 C.7.6.2.1.1)."""
    place, plane = place_of(answer), plane_of(answer)
    if place is None or plane is None:
        return next(iter(numbers(answer, "SliceLocation")), 0.0)
    return dot(normal_of(plane), place)


def pictures_of(
    instances: Iterable[Attributes], modality: str, online: str = "ONLINE"
) -> list[Picture]:
    """Return one entry for each frame, in the order of scrolling, as the viewer reads them.

    `online` is the availability of what does not tell its own.
    """
    return [
        picture
        for instance in sorted_instances(instances)
        for picture in pictures_of_one(instance, modality, online)
    ]


def pictures_of_one(image: Attributes, modality: str, online: str = "ONLINE") -> list[Picture]:
    """Return the entries of one instance; what holds no pixels has one all the same."""
    kind = kind_of(image)
    if kind is not Kind.IMAGE:
        return [{**_same_for_all(image, modality, 1, online), "kind": kind.value, "frame": None}]
    found = [_of_frame(frame, modality) for frame in frames_of(image)]
    base = {**_same_for_all(image, modality, len(found), online), "kind": kind.value}
    if len(found) == 1:
        return [{**base, **found[0], "frame": None}]
    return [{**base, **own, "frame": number} for number, own in enumerate(found, 1)]


def _same_for_all(image: Attributes, modality: str, frames: int, online: str) -> Picture:
    return {
        "uid": text(image, "SOPInstanceUID"),
        "number": whole(image, "InstanceNumber"),
        "frames": frames,
        "columns": whole(image, "Columns") or 0,
        "rows": whole(image, "Rows") or 0,
        "colour": is_colour(image),
        "drag_from": first_window(image) or window_to_drag_from(image, modality),
        "lossy": lossy_ratio(image),
        "online": (text(image, "InstanceAvailability") or online) == "ONLINE",
        "title": text(image, "DocumentTitle") or text(image, "ContentLabel"),
        "reference": text(image, "FrameOfReferenceUID"),
    }


def _of_frame(frame: Attributes, modality: str) -> Picture:
    plane, place, unit = plane_of(frame), place_of(frame), unit_of(frame, modality)
    window = first_window(frame)
    told: Picture = {
        "window": window,
        "laterality": laterality_of(frame),
        "edges": edges_of(frame),
        "normal": [round(part, 6) for part in normal_of(plane)] if plane else None,
        "place": place,
        "unit": {"name": unit.name, "factor": unit.factor} if isinstance(unit, Unit) else None,
        "slice": next(iter(numbers(frame, "SliceLocation")), None),
    }
    return {**told, "drag_from": window} if window else told


def shared(pictures: list[Picture]) -> Picture:
    """Return what is the same in all pictures, and take it out of each of them."""
    if not pictures:
        return {}
    first = pictures[0]
    same = {key for key in first if all(key in one and one[key] == first[key] for one in pictures)}
    common = {key: first[key] for key in same}
    for picture in pictures:
        for key in same:
            del picture[key]
    return common


def is_colour(image: Attributes) -> bool:
    """Whether no window applies."""
    return text(image, "PhotometricInterpretation") not in {"", "MONOCHROME1", "MONOCHROME2"}


def laterality_of(image: Attributes) -> str:
    """Return L, R or B: of the frame, the image, else the series ("" where nobody says).

    The first that speaks is believed: an unpaired frame (U) has not the side of its series.
    """
    said = (text(image, key) for key in ("FrameLaterality", "ImageLaterality", "Laterality"))
    first = next(filter(None, said), "")
    return first if first in {"L", "R", "B"} else ""


def lossy_ratio(image: Attributes) -> str | None:
    """Return the compression ratios of an image that lost detail ("" unknown), else None."""
    if text(image, "LossyImageCompression") != "01":
        return None
    return ", ".join(f"{ratio:g}:1" for ratio in numbers(image, "LossyImageCompressionRatio"))


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


def rate_of(image: Attributes) -> float | None:
    """Return the pictures a second at which a loop plays (PS3.3 C.7.6.5), at most 15; or None."""
    said = [
        next(iter(numbers(image, key)), 0.0) for key in ("RecommendedDisplayFrameRate", "CineRate")
    ]
    frame_ms = next(iter(numbers(image, "FrameTime")), 0.0)
    said.append(1000 / frame_ms if frame_ms > 0 else 0.0)
    rate = next((one for one in said if one > 0), None)
    return None if rate is None else max(1.0, min(MOST_A_SECOND, round(rate, 1)))
