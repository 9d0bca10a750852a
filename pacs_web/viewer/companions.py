"""What a study says about its own images: key objects and presentation states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pacs_web.federation.dicom_json import Attributes, counts, items, person, text, whole
from pacs_web.viewer.report import meaning, words_of

MODALITIES = ("KO", "PR")
REJECTIONS = {"113001", "113037", "113038", "113039"}  # IOCM: the node hides what these name


def key_objects(found: Iterable[Attributes]) -> list[dict[str, Any]]:
    """Return each key object's title, words and the images that it names (PS3.3 C.17.6.2)."""
    told = []
    for one in found:
        title = next(iter(items(one, "ConceptNameCodeSequence")), {})
        images = list(named_images(one, "CurrentRequestedProcedureEvidenceSequence"))
        if images and text(title, "CodeValue") not in REJECTIONS:
            told.append(
                {
                    "uid": text(one, "SOPInstanceUID"),
                    "title": meaning(title),
                    "words": " ".join(words_of(one)),
                    "date": text(one, "ContentDate"),
                    "images": images,
                }
            )
    return told


def presentation_states(found: Iterable[Attributes]) -> list[dict[str, Any]]:
    """Return each state's name and the images to which it applies (PS3.3 C.11.10, C.11.11).

    `rotation` (degrees clockwise) and then `flip` are what it does to the image (PS3.3 C.10.6).
    """
    told = []
    for one in found:
        images = list(named_images(one))
        if images:
            told.append(
                {
                    "uid": text(one, "SOPInstanceUID"),
                    "label": text(one, "ContentLabel"),
                    "words": text(one, "ContentDescription"),
                    "by": person(one, "ContentCreatorName"),
                    "rotation": (whole(one, "ImageRotation") or 0) % 360,
                    "flip": text(one, "ImageHorizontalFlip") == "Y",
                    "images": images,
                }
            )
    return told


def named_images(one: Attributes, within: str = "") -> Iterator[dict[str, Any]]:
    """Yield the images that an object refers to, each with its series and its frames ([] all)."""
    holders = items(one, within) if within else [one]
    for holder in holders:
        for series in items(holder, "ReferencedSeriesSequence"):
            for image in items(series, "ReferencedSOPSequence") + items(
                series, "ReferencedImageSequence"
            ):
                yield {
                    "series": text(series, "SeriesInstanceUID"),
                    "uid": text(image, "ReferencedSOPInstanceUID"),
                    "frames": counts(image, "ReferencedFrameNumber"),
                }
