"""Finding an exam and what is in it: search, series, contact sheet."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _

from dicom_node.dicomweb.selection import selected
from dicom_node.models import Instance
from dicom_node.rescue import found
from dicom_node.rescue.door import COOKIE, PATH, page, record, record_study, sessions, shown
from pacs_common.errors import BadInput

FIELDS = ("name", "patient_id", "since", "until", "modality")
MODALITIES = ("CT", "CR", "DX", "MG", "MR", "NM", "PT", "RF", "US", "XA")
MOST_CHARS = 64
A_SHEET = 60


@page("GET", "POST")
def search(request: HttpRequest) -> HttpResponseBase:
    """Search: a POST that is kept, then an address that names nobody."""
    if request.method == "POST":
        asked = {name: request.POST.get(name, "").strip()[:MOST_CHARS] for name in FIELDS}
        name = sessions().keep_search(request.COOKIES.get(COOKIE, ""), asked)
        return HttpResponseRedirect(f"{PATH}?search={name}")
    asked = request.session.searches.get(request.GET.get("search", ""), {})
    keys = _keys(asked)
    rows, is_cut = found.studies(keys)
    record(request, "query", path=PATH, keys=keys)
    told = {"asked": asked, "studies": rows, "is_cut": is_cut, "modalities": MODALITIES}
    return shown(request, "search.html", told)


@page("GET")
def study(request: HttpRequest, study_uid: str) -> HttpResponseBase:
    """Show an exam's series, each with a picture."""
    exam = found.study(study_uid)
    record_study(request, exam["uid"], found.patient(exam), "exam")
    pictured = Instance.objects.filter(series__study__uid=exam["uid"], rows__gt=0)
    with_pictures = set(pictured.values_list("series__uid", flat=True))
    shown_series = [
        {**one, "is_pictured": one["uid"] in with_pictures} for one in found.series(exam["uid"])
    ]
    told = {"study": exam, "series": shown_series}
    return shown(request, "study.html", told)


@page("GET")
def series(request: HttpRequest, study_uid: str, series_uid: str) -> HttpResponseBase:
    """Show the images of a series side by side, a sheet at a time."""
    exam = found.study(study_uid)
    (one,) = found.series(exam["uid"], series_uid)
    record_study(request, exam["uid"], found.patient(exam), "images")
    images = selected(exam["uid"], one["uid"])
    first = _first(request.GET.get("from", "1"), len(images))
    told = {
        "study": exam,
        "one": one,
        "images": [_image(n, row) for n, row in enumerate(images, 1)][first - 1 :][:A_SHEET],
        "total": len(images),
        "first": first,
        "last": min(first + A_SHEET - 1, len(images)),
        "before": max(1, first - A_SHEET) if first > 1 else None,
        "after": first + A_SHEET if first + A_SHEET <= len(images) else None,
    }
    return shown(request, "series.html", told)


def _image(number: int, row: Instance) -> dict[str, Any]:
    return {"n": number, "uid": row.uid, "number": row.number, "is_picture": bool(row.rows)}


def _first(text: str, total: int) -> int:
    """Return the first image of a sheet, from 1; raises BadInput."""
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) >= 1):
        raise BadInput("from is not a number of an image")
    return min(int(text), max(1, total))


def _keys(asked: dict[str, str]) -> dict[str, str]:
    """Return the keys of a query for what was typed; raises BadInput for what is no date."""
    keys = {}
    if name := asked.get("name", "").replace("^", " ").replace("\\", " ").split():
        keys["PatientName"] = f"{'*'.join(name)}*"
    for field, keyword in (("patient_id", "PatientID"), ("modality", "ModalitiesInStudy")):
        if value := asked.get(field, "").replace("\\", " ").strip():
            keys[keyword] = value
    since, until = (_day(asked.get(field, "")) for field in ("since", "until"))
    if since or until:
        keys["StudyDate"] = f"{since}-{until}"
    return keys


def _day(text: str) -> str:
    if not text:
        return ""
    try:
        return f"{date.fromisoformat(text):%Y%m%d}"
    except ValueError:
        raise BadInput(_("%(text)s is no date") % {"text": text[:20]}) from None
