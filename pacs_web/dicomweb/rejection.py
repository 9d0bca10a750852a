"""DELETE: what it names is rejected on every node that holds it; no bytes are removed there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from django.http import HttpRequest, HttpResponse

from pacs_common.errors import ArgensError, BadQuery
from pacs_common.uids import Uid
from pacs_web import config
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import patient_last_seen_in, record
from pacs_web.dicomweb.own_forms import require_own_form
from pacs_web.federation import locate
from pacs_web.federation.opening import open_study
from pacs_web.federation.passing import held
from pacs_web.federation.server import Server
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for

_WHAT = re.compile(r"studies/(?P<study>[^/]+)(?:/series/[^/]+(?:/instances/[^/]+)?)?\Z")
NOT_THERE = 404


def answer(request: HttpRequest, path: str) -> HttpResponse:
    """Reject a study, series or instance; the answer is the first node's that had it.

    Raises what the study's opening raises: NotFound, or PeerUnreachable where a silent node may
    hold it too. A node that refuses ends it; asked again, it goes on where it was.
    """
    require_own_form(request)
    return rejected_everywhere(request, path, dict(request.GET.lists()))


def rejected_everywhere(
    request: HttpRequest, path: str, params: Mapping[str, list[str]]
) -> HttpResponse:
    """Reject what `path` names on every node that holds it; errors as `answer`."""
    found = _WHAT.match(path)
    if found is None:
        raise BadQuery("only a study, a series or an instance can be rejected")
    study_uid = Uid.parse(found["study"], "StudyInstanceUID")
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    holding = clients(request.user.get_username(), opened.study.nodes, patient=True)
    nodes = [one for one in holding if one.abilities.reject] or holding  # who refuses says why
    response = _rejected(nodes, path, params)
    locate.forget(study_uid)
    record(
        request,
        Action.REJECT,
        study_uid=study_uid,
        patient=patient_last_seen_in(study_uid),
        what=path,
        nodes=[node.name for node in nodes],
        reason="".join(params.get("reason", [])[:1]),
        result=Result.of_status(response.status_code),
        status=response.status_code,
    )
    return response


def _rejected(nodes: Sequence[Server], path: str, params: Mapping[str, list[str]]) -> HttpResponse:
    answers: list[HttpResponse] = []
    for node in nodes:
        try:
            answers.append(_asked(node, path, params))
        except ArgensError as error:
            raise type(error)(f"{error}; it may be rejected on other servers: ask again") from None
    refused = [one for one in answers if one.status_code >= 300 and one.status_code != NOT_THERE]
    done = [one for one in answers if one.status_code < 300]
    return (refused + done + answers)[0]


def _asked(node: Server, path: str, params: Mapping[str, list[str]]) -> HttpResponse:
    with node.reject(path, params) as told:
        return held(told, node.name)
