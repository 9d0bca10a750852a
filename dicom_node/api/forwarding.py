"""Forwarding for people: what is on its way, sending again, and the rules."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from dicom_node import audit
from dicom_node.api.bodies import body_of, limit_of
from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.dimse.scu import remote
from dicom_node.forwarding import overview, queue
from dicom_node.forwarding.rules import PRIORITIES
from dicom_node.forwarding.rules_file import RulesFile
from dicom_node.models import Forward, Instance
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, NotFound
from pacs_common.uids import Uid

MAX_UIDS = 10_000
RULES = RulesFile(Layout(CONFIG.data_dir).forwarding_rules)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def forwards(request: HttpRequest) -> HttpResponseBase:
    """GET what is on its way; POST a study to a destination."""
    return _enqueue(request) if request.method == "POST" else _overview(request)


@csrf_exempt
@require_POST
@allowed("forwarding.write")
def resend(request: HttpRequest) -> JsonResponse:
    """Send again what was sent, given up or cancelled."""
    told, by = body_of(request), request.ticket.subject
    queued = queue.resend(_chosen(told), by)
    audit.note("queued", by=by, again=True, instances=queued, **_named(told))
    return JsonResponse({"queued": queued})


@csrf_exempt
@require_POST
@allowed("forwarding.write")
def cancel(request: HttpRequest) -> JsonResponse:
    """Take what waits out of the queue."""
    told = body_of(request)
    cancelled = queue.cancel(_chosen(told))
    audit.note("cancelled", by=request.ticket.subject, instances=cancelled, **_named(told))
    return JsonResponse({"cancelled": cancelled})


@csrf_exempt
@require_http_methods(["GET", "PUT"])
def rules(request: HttpRequest) -> HttpResponseBase:
    """GET the rules; PUT others in their place, in force at once."""
    return _put_rules(request) if request.method == "PUT" else _get_rules(request)


def problems() -> list[str]:
    """Return what needs a person: broken rules, destinations away, what was given up."""
    try:
        RULES.current()
    except BadInput:
        pass  # the file's problem is told either way
    found = [RULES.problem] if RULES.problem else []
    for one in overview.destinations():
        if one["away_since"] and one["waiting"]:
            found.append(f"{one['waiting']} instances wait for {one['ae_title']}: {one['error']}")
        if one["given_up"]:
            found.append(f"{one['given_up']} instances for {one['ae_title']} were given up")
    return found


@allowed("forwarding.read")
def _overview(request: HttpRequest) -> JsonResponse:
    rows = overview.chosen(
        state=request.GET.get("state", ""),
        destination=request.GET.get("destination", ""),
        study_uid=request.GET.get("study", ""),
    )
    return JsonResponse(
        {
            "destinations": overview.destinations(),
            "studies": overview.studies(rows, limit_of(request)),
        }
    )


@allowed("forwarding.write", study_in_body=True)
def _enqueue(request: HttpRequest) -> JsonResponse:
    told = body_of(request)
    study_uid = _text(told, "study_uid")
    request.ticket.require("forwarding.write", study_uid)
    destination = remote.known(_text(told, "destination")).ae_title
    found = Instance.objects.filter(series__study__uid=study_uid).select_related("series__study")
    if "sop_instance_uids" in told:
        found = found.filter(uid__in=_uids(told, "sop_instance_uids"))
    if not found.exists():
        raise NotFound("no such instances are here")
    priority = told.get("priority", "normal")
    if not isinstance(priority, str) or priority not in PRIORITIES:
        raise BadInput(f"priority is one of {', '.join(PRIORITIES)}")
    queued = queue.enqueue(
        destination,
        found.order_by("series__number", "number", "id"),
        request.ticket.subject,
        priority=PRIORITIES[priority],
        wants_commitment=told.get("commit") is True,
    )
    audit.note(
        "queued",
        by=request.ticket.subject,
        destination=destination,
        study_uid=study_uid,
        instances=queued,
    )
    return JsonResponse({"queued": queued}, status=202)


@allowed("forwarding.read")
def _get_rules(request: HttpRequest) -> JsonResponse:
    return JsonResponse({**RULES.document(), "time_zone": CONFIG.time_zone})


@allowed("forwarding.write")
def _put_rules(request: HttpRequest) -> JsonResponse:
    told = body_of(request)
    told.pop("time_zone", None)  # what GET answered may be sent back
    found = RULES.replace(told)
    audit.note("rules", by=request.ticket.subject, names=[rule.name for rule in found])
    return JsonResponse({**told, "time_zone": CONFIG.time_zone})


def _chosen(told: dict[str, Any]) -> QuerySet[Forward]:
    """Return the rows that a body names; nobody resends or cancels everything by mistake."""
    named = {key: _text(told, key) for key in ("destination", "study_uid", "state") if key in told}
    if not {"destination", "study_uid"} & set(named):
        raise BadInput("name a destination or a study_uid")
    return overview.chosen(**named)


def _named(told: dict[str, Any]) -> dict[str, str]:
    return {key: _text(told, key) for key in ("destination", "study_uid", "state") if key in told}


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise BadInput(f"{key} is missing or no text")
    return value


def _uids(told: dict[str, Any], key: str) -> list[str]:
    values = told.get(key)
    if not isinstance(values, list) or len(values) > MAX_UIDS:
        raise BadInput(f"{key} is not a list of at most {MAX_UIDS} UIDs")
    return [Uid.parse(value) for value in values]
