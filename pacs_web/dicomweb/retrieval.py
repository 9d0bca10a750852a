"""WADO-RS and WADO-URI, passed on from a node that holds the study (PS3.18 10.4, 9)."""

from __future__ import annotations

import re

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from pacs_common.errors import NotFound, Refused
from pacs_common.uids import Uid
from pacs_web import config
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record_once
from pacs_web.dicomweb import capabilities
from pacs_web.dicomweb.addresses import forwarded
from pacs_web.federation.handing_over import handed_over
from pacs_web.federation.opening import holders
from pacs_web.federation.passing import head_of, passed_from, passed_on
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for

WADO_URI = "wado"
_WHOLE = re.compile(r"studies/[^/]+(?:/series/[^/]+(?:/instances/[^/]+)?)?\Z")
_RESOURCE = re.compile(r"studies/(?P<study>[^/]+)(?:/.*)?\Z")


def answer(request: HttpRequest, path: str) -> HttpResponseBase:
    """Return what the first node that has the resource answers, streamed.

    Whole files are taken along: they need the right to download, which pictures do not.
    """
    if not request.user.has_right(Right.DOWNLOAD) and _is_of_files(request, path):
        raise Refused("you may look at exams, but not take their files along")
    if path == WADO_URI or "requestType" in request.GET:
        return _passed(request, WADO_URI, request.GET.get("studyUID", ""))
    if not path:
        return capabilities.answer(request, path)
    if retrieval := _RESOURCE.match(path):
        return _passed(request, path, retrieval["study"])
    raise NotFound("there is no such DICOMweb resource")


def _is_of_files(request: HttpRequest, path: str) -> bool:
    by_uri = path == WADO_URI or "requestType" in request.GET
    asked = " ".join(request.GET.getlist("contentType"))
    return "application/dicom" in asked if by_uri else bool(_WHOLE.match(path))


def _passed(request: HttpRequest, path: str, study: str) -> HttpResponseBase:
    study_uid = Uid.parse(study, "StudyInstanceUID")
    names = {node.name for node in holders(clients_for(request), study_uid, config.NODE_TIMEOUT_S)}
    nodes = clients(request.user.get_username(), names, patient=True)
    record_once(request, Action.DICOMWEB, study_uid=study_uid)
    params = dict(request.GET.lists())
    headers = passed_on(request.headers) | forwarded(request)
    bound = None if path == WADO_URI else study_uid
    if told := handed_over(request, nodes, path, params=params, headers=headers, study=bound):
        return told
    response = passed_from(nodes, path, params=params, headers=headers)
    return head_of(response) if request.method == "HEAD" else response
