"""Known peers and rejected callers, for the portal's IT pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dicom_node import audit
from dicom_node import peers as known
from dicom_node.api.guard import allowed
from dicom_node.models import RejectedCaller
from dicom_node.peers import book, rejected
from dicom_node.peers.peer import Service, ae_title, from_json, to_json
from pacs_common.errors import BadInput, NotFound


@require_GET
@allowed("peers.read")
def every_peer(request: HttpRequest) -> JsonResponse:
    """Answer every peer in force, and what of the file could not be read."""
    found = known.current()
    told = [_told(found.peers[title]) for title in sorted(found.peers)]
    return JsonResponse({"peers": told, "problem": found.problem})


@csrf_exempt
@require_http_methods(["GET", "PUT", "DELETE"])
def one_peer(request: HttpRequest, title: str) -> HttpResponseBase:
    """GET, PUT or DELETE one peer by its AE title."""
    handler = {"GET": _get, "PUT": _put, "DELETE": _delete}[request.method or "GET"]
    return handler(request, title=title)


@require_GET
@allowed("peers.read")
def rejected_callers(request: HttpRequest) -> JsonResponse:
    """Answer the callers that were not let in, the latest first."""
    rows = RejectedCaller.objects.order_by("-last_at", "-id")[: rejected.MAX_ROWS]
    return JsonResponse({"callers": [_caller(row) for row in rows]})


@csrf_exempt
@require_POST
@allowed("peers.write")
def approve(request: HttpRequest, caller_id: int) -> JsonResponse:
    """Let a rejected caller in from now on."""
    may = _body(request, "{}").get("may")
    peer = rejected.approve(caller_id, None if may is None else _services(may))
    _note(request, "peer-approved", peer)
    return JsonResponse({"peer": _told(peer)})


@csrf_exempt
@require_http_methods(["DELETE"])
@allowed("peers.write")
def rejected_caller(request: HttpRequest, caller_id: int) -> HttpResponse:
    """Forget a rejected caller."""
    rejected.found(caller_id).delete()
    return HttpResponse(status=204)


@allowed("peers.read")
def _get(request: HttpRequest, title: str) -> JsonResponse:
    peer = known.current().peers.get(title)
    if peer is None:
        raise NotFound(f"peer {title!r} is not known")
    return JsonResponse({"peer": _told(peer)})


@allowed("peers.write")
def _put(request: HttpRequest, title: str) -> JsonResponse:
    told = {"ae_title": title, **_body(request)}
    peer = from_json(told)
    if peer.ae_title != ae_title(title):
        raise BadInput("the address and the body name different AE titles")
    is_new = peer.ae_title not in known.current().peers
    book.put(peer)
    _note(request, "peer-changed", peer)
    return JsonResponse({"peer": _told(peer)}, status=201 if is_new else 200)


@allowed("peers.write")
def _delete(request: HttpRequest, title: str) -> HttpResponse:
    book.remove(title)
    audit.note("peer-removed", by=request.ticket.subject, ae_title=title)
    return HttpResponse(status=204)


def _note(request: HttpRequest, kind: str, peer: known.Peer) -> None:
    audit.note(kind, by=request.ticket.subject, **to_json(peer))


def _told(peer: known.Peer) -> dict[str, Any]:
    return {**to_json(peer), "in_settings": book.is_from_settings(peer.ae_title)}


def _caller(row: RejectedCaller) -> dict[str, Any]:
    certificate = {"sha256": row.certificate_sha256, "subject": row.certificate_subject}
    return {
        "id": row.id,
        "ae_title": row.ae_title,
        "address": row.address,
        "called_ae": row.called_ae,
        "certificate": certificate if row.certificate_sha256 else None,
        "cause": row.cause,
        "why": row.why,
        "count": row.count,
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
    }


def _services(told: Any) -> list[Service]:
    try:
        return [Service(one) for one in told]
    except (TypeError, ValueError):
        raise BadInput(f"may is not a list of {', '.join(Service)}") from None


def _body(request: HttpRequest, empty: str = "") -> Mapping[str, Any]:
    try:
        told = json.loads(request.body or empty)
    except (ValueError, RecursionError):
        raise BadInput("the body is not JSON") from None
    if not isinstance(told, dict):
        raise BadInput("the body is not a JSON object")
    return told
