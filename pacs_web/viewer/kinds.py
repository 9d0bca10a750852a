"""What a person can look at in an object: an image, a film, a document, or only its header."""

from __future__ import annotations

from enum import Enum

from pacs_web.federation.dicom_json import Attributes, items, text, whole


class Kind(Enum):
    """How the viewer shows an object."""

    IMAGE = "image"
    VIDEO = "video"
    PDF = "pdf"
    TEXT = "text"  # an encapsulated document that is read as text (CDA)
    REPORT = "report"  # a tree of content items
    STATE = "state"  # a presentation state: shown as the image that it describes
    NONE = "none"


VIDEOS = {f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109)}
STATES = "1.2.840.10008.5.1.4.1.1.11."


def kind_of(image: Attributes) -> Kind:
    """Return how an object is shown, by what its metadata holds."""
    if "00083002" in image and _syntaxes(image) & VIDEOS:
        return Kind.VIDEO
    if whole(image, "Rows") and whole(image, "Columns"):
        return Kind.IMAGE
    mime = text(image, "MIMETypeOfEncapsulatedDocument").lower()
    if mime:
        return Kind.PDF if mime == "application/pdf" else Kind.TEXT
    if text(image, "SOPClassUID").startswith(STATES):
        return Kind.STATE
    return Kind.REPORT if items(image, "ContentSequence") else Kind.NONE


def _syntaxes(image: Attributes) -> set[str]:
    return {str(value) for value in image["00083002"].get("Value") or []}
