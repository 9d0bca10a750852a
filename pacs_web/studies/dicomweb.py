"""The whole network as one DICOMweb server (PS3.18): QIDO-RS merged, WADO-RS passed on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
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
from pacs_web.federation.passing import passed_from, passed_on
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for

_QUERY = re.compile(
    r"(?:studies(?:/(?P<study>[^/]+))?/)?(?:series/(?P<series>[^/]+)/)?"
    r"(?P<level>studies|series|instances)\Z"
)
_RETRIEVE = re.compile(r"studies/(?P<study>[^/]+)(?:/.*)?\Z")
_SEGMENT = re.compile(r"(?!\.+\Z)[A-Za-z0-9.,_-]+\Z")
_KEYS = {
    "studies": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "instances": "SOPInstanceUID",
}
LIMIT = 1000


@requires_api(Right.VIEW, DICOMWEB)
@require_safe
def dicomweb(request: HttpRequest, path: str) -> HttpResponse | StreamingHttpResponse:
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
    params = {name: values for name, values in request.GET.lists()}
    offset, limit = _bound(params, "offset", 0), _bound(params, "limit", LIMIT)
    params.update(offset=["0"], limit=[str(offset + limit)])
    nodes = _asked(request, study_uid)
    gathered = fan_out(nodes, lambda node: node.qido(path, params), config.NODE_TIMEOUT_S)
    record(request, Action.SEARCH, study_uid=study_uid or "", query=dict(request.GET.lists()))
    found = _merged(gathered.answers, level)[offset : offset + limit]
    response = JsonResponse(found, safe=False, content_type="application/dicom+json")
    if gathered.failures:
        response["Warning"] = _warning(gathered.failures)
    return response


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


def _retrieve(request: HttpRequest, path: str, study_uid: Uid) -> StreamingHttpResponse:
    names = {node.name for node in holders(clients_for(request), study_uid, config.NODE_TIMEOUT_S)}
    nodes = clients(request.user.get_username(), names, patient=True)
    record_once(request, Action.DICOMWEB, study_uid=study_uid)
    params = dict(request.GET.lists())
    return passed_from(nodes, path, params=params, headers=passed_on(request.headers))


def _bound(params: Mapping[str, Any], name: str, default: int) -> int:
    given = params.get(name, [str(default)])[-1]
    if not (given.isascii() and given.isdigit()):
        raise BadQuery(f"{name} must be a whole number, not {given[:20]!r}")
    return int(given)


def _warning(failures: list[Failure]) -> str:
    names = ", ".join(failure.node for failure in failures)
    return f'299 argens "no answer from {names}: the result may be incomplete"'
