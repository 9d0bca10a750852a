"""The whole network as one DICOMweb server (PS3.18): QIDO-RS merged, WADO-RS passed on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from pacs_common.errors import ArgensError, BadQuery, NotFound
from pacs_common.node_client import NodeClient
from pacs_common.uids import Uid
from pacs_web import config
from pacs_web.accounts.guard import problem_response, requires_api
from pacs_web.accounts.rights import Right
from pacs_web.accounts.tokens import DICOMWEB
from pacs_web.audit.models import Action
from pacs_web.audit.record import record, record_once
from pacs_web.federation.dicom_json import Attributes, text
from pacs_web.federation.fan_out import Failure, fan_out
from pacs_web.federation.opening import holders
from pacs_web.federation.passing import head_of, passed_from, passed_on
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for

_QUERY = re.compile(
    r"(?:studies/(?P<study>[0-9.]+)/(?:series/[0-9.]+/(?=instances\Z))?(?!studies\Z))?"
    r"(?P<level>studies|series|instances)\Z"
)
_RETRIEVE = re.compile(r"studies/(?P<study>[^/]+)(?:/.*)?\Z")
_SEGMENT = re.compile(r"(?!\.+\Z)[A-Za-z0-9.,_-]+\Z")
_KEYS = {
    "studies": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "instances": "SOPInstanceUID",
}
_PAGING = {"offset", "limit"}
LIMIT = 1000  # answers at once, whatever is asked for
MAX_OFFSET = 20_000  # every page of the merged answer asks each node from its first result
MAX_DIGITS = 9
Streamed = StreamingHttpResponse


@csrf_exempt  # nothing can be changed here, and a program that tries gets a 405
@requires_api(Right.VIEW, DICOMWEB)
@require_safe
def dicomweb(request: HttpRequest, path: str) -> HttpResponse | Streamed:
    """Answer a query from all nodes, and a retrieval from the node that holds the study."""
    path = path.strip("/")
    try:
        if not all(_SEGMENT.match(segment) for segment in path.split("/")):
            raise BadQuery("this is no DICOMweb path")
        if query := _QUERY.match(path):
            return _query(request, path, query["level"], query["study"])
        if retrieval := _RETRIEVE.match(path):
            return _retrieve(request, path, Uid.parse(retrieval["study"], "StudyInstanceUID"))
        raise NotFound("there is no such DICOMweb resource")
    except ArgensError as error:
        return problem_response(error)


def _query(request: HttpRequest, path: str, level: str, study_uid: str | None) -> HttpResponse:
    params = {name: values for name, values in request.GET.lists() if name not in _PAGING}
    offset = _bound(request, "offset", 0, MAX_OFFSET)
    asked = _bound(request, "limit", LIMIT + 1)
    last = offset + min(asked, LIMIT)
    nodes = _asked(request, study_uid)
    gathered = fan_out(
        nodes, lambda node: _first(node, path, params, last + 1), config.NODE_TIMEOUT_S
    )
    record(request, Action.SEARCH, study_uid=study_uid or "", query=dict(request.GET.lists()))
    if refusal := gathered.refusal():
        raise refusal
    found = _merged(gathered.answers, level)
    response = JsonResponse(found[offset:last], safe=False, content_type="application/dicom+json")
    warnings = [_silent(gathered.failures)] if gathered.failures else []
    if asked > LIMIT and len(found) > last:
        warnings.append(f"there are more than {LIMIT} results: ask for the rest by offset")
    if warnings:
        response["Warning"] = ", ".join(f'299 argens "{text}"' for text in warnings)
    return response


def _first(node: NodeClient, path: str, params: Mapping[str, Any], count: int) -> list[Attributes]:
    """Return the first `count` answers of a node, asked for page by page."""
    found: list[Attributes] = []
    while len(found) < count:
        size = min(LIMIT, count - len(found))
        page = node.qido(path, {**params, "offset": len(found), "limit": size})
        found += page
        if len(page) < size:
            break
    return found


def _asked(request: HttpRequest, study_uid: str | None) -> list[NodeClient]:
    if study_uid is None:
        return clients(request.user.get_username())
    return holders(
        clients_for(request), Uid.parse(study_uid, "StudyInstanceUID"), config.NODE_TIMEOUT_S
    )


def _merged(answers: Mapping[str, list[Attributes]], level: str) -> list[Attributes]:
    """Return each entity once, as the first node that knows it describes it."""
    by_uid: dict[str, Attributes] = {}
    for found in answers.values():
        for attributes in found:
            by_uid.setdefault(text(attributes, _KEYS[level]), attributes)
    if level != "studies":
        return list(by_uid.values())
    rows = sorted(by_uid.values(), key=lambda one: text(one, "StudyInstanceUID"))
    return sorted(rows, key=lambda one: text(one, "StudyDate"), reverse=True)


def _retrieve(request: HttpRequest, path: str, study_uid: Uid) -> HttpResponse | Streamed:
    names = {node.name for node in holders(clients_for(request), study_uid, config.NODE_TIMEOUT_S)}
    nodes = clients(request.user.get_username(), names, patient=True)
    record_once(request, Action.DICOMWEB, study_uid=study_uid)
    params = dict(request.GET.lists())
    response = passed_from(nodes, path, params=params, headers=passed_on(request.headers))
    return head_of(response) if request.method == "HEAD" else response


def _bound(request: HttpRequest, name: str, default: int, most: int | None = None) -> int:
    given = request.GET.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) <= MAX_DIGITS):
        raise BadQuery(f"{name} must be a whole number, not {given[:20]!r}")
    if most is not None and int(given) > most:
        raise BadQuery(f"{name} must not exceed {most}: narrow the query instead")
    return int(given)


def _silent(failures: list[Failure]) -> str:
    names = ", ".join(failure.node for failure in failures)
    return f"no answer from {names}: the result may be incomplete"
