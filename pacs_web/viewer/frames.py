"""The attributes of each frame: an image's own, with those of its functional groups over them."""

from __future__ import annotations

from collections.abc import Iterator

from pacs_web.federation.dicom_json import TAGS, Attributes, items, whole

MAX_FRAMES = 20_000  # more than any loop or stack; a header may claim a milliard
GROUPS = (
    "00209113",  # Plane Position
    "00209116",  # Plane Orientation
    "00209071",  # Frame Anatomy
    "00289132",  # Frame VOI LUT
    "00289145",  # Pixel Value Transformation
)
_SHARED = TAGS["SharedFunctionalGroupsSequence"]
_EACH = TAGS["PerFrameFunctionalGroupsSequence"]


def frame_count(image: Attributes) -> int:
    """Return how many frames there are, at least one and at most MAX_FRAMES."""
    return min(MAX_FRAMES, max(1, whole(image, "NumberOfFrames") or 1))


def frames_of(image: Attributes) -> Iterator[Attributes]:
    """Yield each frame's attributes; a frame's own group wins over the shared one (PS3.3 C.7.6.16).

    What the groups say of other things (timing, derivation) stays where it is.
    """
    own = {tag: element for tag, element in image.items() if tag not in {_SHARED, _EACH}}
    shared = next(iter(items(image, "SharedFunctionalGroupsSequence")), {})
    each = items(image, "PerFrameFunctionalGroupsSequence")
    base = {**own, **_flat(shared)}
    for number in range(frame_count(image)):
        yield {**base, **_flat(each[number])} if number < len(each) else base


def _flat(group: Attributes) -> dict[str, object]:
    found: dict[str, object] = {}
    for tag in GROUPS:
        macro = group.get(tag)
        inner = macro.get("Value") if isinstance(macro, dict) else None
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            found |= inner[0]
    return found
