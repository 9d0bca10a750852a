"""Looking at one image: its page, the bytes of its picture, and its header."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext_lazy as _

from dicom_node.api.header import described
from dicom_node.dicomweb import as_they_are, rendered
from dicom_node.dicomweb.picture_query import window_of
from dicom_node.dicomweb.selection import selected
from dicom_node.models import Instance
from dicom_node.rescue import found
from dicom_node.rescue.door import page, record_study, shown
from pacs_common.availability import Availability
from pacs_common.errors import BadInput, NotFound

WINDOWS = (  # center and width that a CT is looked at with, besides its own
    ("40,80", _("Brain")),
    ("40,400", _("Soft tissue")),
    ("-600,1500", _("Lung")),
    ("400,1800", _("Bone")),
)
SIDE = "1600,1600"


@page("GET")
def image(request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str) -> HttpResponseBase:
    """Show an image large, with the ways to its neighbours, frame by frame."""
    exam = found.study(study_uid)
    (one,) = found.series(exam["uid"], series_uid)
    images = selected(exam["uid"], one["uid"])
    place = next((n for n, row in enumerate(images) if row.uid == sop_uid), None)
    if place is None:
        raise NotFound("this image is not here")
    record_study(request, exam["uid"], found.patient(exam), "images")
    row, window = images[place], _window(request)
    frame, frames = _frame(request, row), row.frames or 1
    told = {
        "study": exam,
        "one": one,
        "uid": row.uid,
        "place": place + 1,
        "total": len(images),
        "frame": frame,
        "frames": frames,
        "kind": _kind(row),
        "picture": _query(frame if frames > 1 else None, window, SIDE),
        "steps": _steps(images, place, frame, window),
        "windows": _windows(one["modality"], frame, window),
        "window": window,
    }
    return shown(request, "image.html", told)


@page("GET")
def picture(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str
) -> HttpResponseBase:
    """Answer the picture of an image, or a document as it is, by the door that all use."""
    exam = found.study(study_uid)
    record_study(request, exam["uid"], found.patient(exam), "images")
    numbers = request.GET.get("frame", "")
    return rendered.draw(request, study_uid, series_uid, sop_uid, numbers)


@page("GET")
def thumbnail(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str = ""
) -> HttpResponseBase:
    """Answer the small picture of a series or an image."""
    exam = found.study(study_uid)
    record_study(request, exam["uid"], found.patient(exam), "exam")
    return rendered.draw_small(request, study_uid, series_uid, sop_uid)


@page("GET")
def header(request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str) -> HttpResponseBase:
    """Show every element of an image's header."""
    exam = found.study(study_uid)
    (one,) = found.series(exam["uid"], series_uid)
    selected(exam["uid"], one["uid"], sop_uid)
    record_study(request, exam["uid"], found.patient(exam), "header")
    told = described(sop_uid)
    rows = [*_flat(told["elements"])]
    about = {"study": exam, "one": one, "uid": sop_uid, "rows": rows}
    return shown(request, "header.html", about | {"syntax": told["transfer_syntax"]})


def _flat(elements: list[dict[str, Any]], depth: int = 0) -> list[dict[str, Any]]:
    """Return elements with those of their items behind them, each with its depth."""
    rows = []
    for element in elements:
        rows.append({**element, "depth": min(depth, 5)})
        for item in element.get("items") or []:
            rows.extend(_flat(item, depth + 1))
    return rows


def _kind(row: Instance) -> str:
    """Return what can be shown: a picture, a document, nothing, or what lies in the archive."""
    if row.availability != Availability.ONLINE:
        return "away"
    if as_they_are.is_sent_as_it_is(row):
        return "document"
    return "picture" if row.rows else "none"


def _window(request: HttpRequest) -> str:
    return request.GET["window"] if window_of(request) is not None else ""


def _frame(request: HttpRequest, row: Instance) -> int:
    text = request.GET.get("frame", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise BadInput("frame is not a number")
    if not 1 <= int(text) <= (row.frames or 1):
        raise NotFound(f"this image has {row.frames or 1} frames")
    return int(text)


def _steps(images: list[Instance], place: int, frame: int, window: str) -> dict[str, str | None]:
    """Return the addresses of the neighbours: the next frame, or the next image."""

    def at(number: int, of: int) -> str | None:
        if not 0 <= number < len(images):
            return None
        row = images[number]
        shown_frame = of if (row.frames or 1) > 1 else None
        return f"../{row.uid}/{_query(shown_frame, window)}"

    frames = images[place].frames or 1
    before = (place, frame - 1) if frame > 1 else (place - 1, 1)
    if frame == 1 and place:
        before = (place - 1, images[place - 1].frames or 1)
    after = (place, frame + 1) if frame < frames else (place + 1, 1)
    is_first, is_last = (place, frame) == (0, 1), place == len(images) - 1 and frame == frames
    return {
        "first": None if is_first else at(0, 1),
        "before": at(*before),
        "after": at(*after),
        "last": None if is_last else at(len(images) - 1, images[-1].frames or 1),
    }


def _windows(modality: str, frame: int, window: str) -> list[dict[str, Any]]:
    if modality != "CT":
        return []
    offered = [("", _("As stored")), *WINDOWS]
    shown_frame = frame if frame > 1 else None
    return [
        {"name": name, "href": _query(shown_frame, value) or "?", "here": value == window}
        for value, name in offered
    ]


def _query(frame: int | None, window: str, viewport: str = "") -> str:
    asked = {"frame": frame, "window": window, "viewport": viewport}
    given = {name: value for name, value in asked.items() if value}
    return f"?{urlencode(given, safe=',')}" if given else ""
