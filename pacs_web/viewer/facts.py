"""What the viewer's scripts ask the portal: a series' pictures, key images, other exams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_http_methods, require_safe

from pacs_common.errors import ArgensError
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record, record_once
from pacs_web.federation.metadata import Told, series_metadata
from pacs_web.federation.opening import OpenStudy
from pacs_web.federation.search import search
from pacs_web.nodes.registry import clients
from pacs_web.studies.together import exams_of_patient
from pacs_web.viewer.asking import node_of, opened
from pacs_web.viewer.captions import captions_of, exam_of
from pacs_web.viewer.companions import key_objects, presentation_states
from pacs_web.viewer.frames import frames_of
from pacs_web.viewer.pictures import pictures_of, rate_of, shared
from pacs_web.viewer.presets import presets

MOST_EXAMS = 100


@requires(Right.VIEW)
@require_safe
def pictures(request: HttpRequest, study_uid: str, series_uid: str) -> JsonResponse:
    """Tell every picture of a series: its place, unit, laterality, window, edge letters.

    What all have in common stands once, in `common`.
    """
    found = opened(request, study_uid)
    series = found.one_series(series_uid)
    record_once(
        request,
        Action.IMAGES,
        study_uid=study_uid,
        patient=(found.study.issuer, found.study.patient_id),
    )
    told = series_metadata(node_of(request, series), study_uid, series_uid)
    each = pictures_of(told.instances, series.modality, series.availability)
    first = told.instances[0] if told.instances else {}
    return JsonResponse(
        {
            **captions_of(found.study, series),
            "revision": told.revision,
            "presets": [
                {"label": preset.label, "window": preset.window}
                for preset in presets(next(frames_of(first)), series.modality)
            ],
            "rate": rate_of(first),
            "common": shared(each),
            "pictures": each,
        }
    )


@requires(Right.VIEW)
@require_safe
def companions(request: HttpRequest, study_uid: str) -> JsonResponse:
    """Tell the key objects and presentation states of an exam; a silent server has none."""
    found = opened(request, study_uid)
    keys, states = (_all_of(request, found, modality) for modality in ("KO", "PR"))
    return JsonResponse({"keys": key_objects(keys), "states": presentation_states(states)})


def _all_of(request: HttpRequest, found: OpenStudy, modality: str) -> list[dict[str, Any]]:
    instances: list[dict[str, Any]] = []
    for series in found.series:
        if series.modality == modality:
            instances += _or_nothing(
                lambda one=series: series_metadata(node_of(request, one), found.study.uid, one.uid)
            )
    return instances


def _or_nothing(ask: Callable[[], Told]) -> list[dict[str, Any]]:
    try:
        return ask().instances
    except ArgensError:  # the images can be read without them
        return []


@requires(Right.VIEW)
@require_safe
def series_of_study(request: HttpRequest, study_uid: str) -> JsonResponse:
    """Tell the series of an exam, for the choice of what stands beside the present one."""
    found = opened(request, study_uid)
    series = [
        {**captions_of(found.study, one)["series"], "pictured": one.pictured}
        for one in found.series
    ]
    whose = captions_of(found.study, found.series[0]) if found.series else {}
    told = {name: whose.get(name) for name in ("patient", "exam")}
    return JsonResponse({**told, "series": series})


@requires(Right.VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def exams(request: HttpRequest, study_uid: str) -> JsonResponse:
    """Tell the exams of this patient; a posted accession number finds any other exam.

    It is posted because it names a person, and such names stand in no address.
    """
    accession = request.POST.get("accession", "").translate({ord(c): None for c in "*?\\"}).strip()
    if accession:
        query = {"AccessionNumber": accession}
        result = search(clients(request.user.get_username()), query, config.NODE_TIMEOUT_S)
        record(request, Action.SEARCH, query=query, found=len(result.studies))
    else:
        result = exams_of_patient(request, opened(request, study_uid).study)
    return JsonResponse(
        {
            "exams": [exam_of(one) for one in result.studies[:MOST_EXAMS]],
            "silent": [failure.node for failure in result.failures],
        }
    )
