"""STOW-RS (PS3.18 10.5): an object goes to the node that holds its study."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from django.http import HttpRequest, HttpResponse

from pacs_common.errors import BadQuery, NotFound, PeerUnreachable, Refused
from pacs_common.uids import Uid
from pacs_web import config
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import patient_last_seen_in, record
from pacs_web.dicomweb.addresses import forwarded
from pacs_web.dicomweb.body import beginning, chunks, study_in
from pacs_web.dicomweb.first_object import facts_in
from pacs_web.dicomweb.own_forms import require_own_form
from pacs_web.dicomweb.results import require_results
from pacs_web.federation import locate
from pacs_web.federation.opening import holders
from pacs_web.federation.passing import held, sendable
from pacs_web.federation.server import Server
from pacs_web.nodes.models import PlacingRule
from pacs_web.nodes.placing import Facts, place
from pacs_web.nodes.registry import clients, first_for_new_exams
from pacs_web.studies.views import clients_for

_WHERE = re.compile(r"studies(?:/(?P<study>[^/]+))?\Z")
PASSED_ON = ("Content-Type", "Content-Length", "Accept")


def answer(request: HttpRequest, path: str) -> HttpResponse:
    """Store what the body holds, streamed, and return the node's own answer.

    The study is the address's or, without one, that of the first object. A body of several
    studies goes to one node as a whole. Who may only save results saves them to an exam that
    exists; who may upload stores anything, a new exam where IT's rules say.
    """
    require_own_form(request)
    where = _WHERE.match(path)
    if where is None:
        raise BadQuery("objects are stored at /dicom-web/studies, or at the address of a study")
    kind = request.headers.get("Content-Type", "")
    body = chunks(request)
    head = beginning(body)
    study_uid = Uid.parse(where["study"] or study_in(kind, head), "StudyInstanceUID")
    content: Iterable[bytes] = chain([head], body)
    may_upload = request.user.has_right(Right.UPLOAD)
    facts = facts_in(kind, head) if may_upload else None
    node = node_for(request, study_uid, facts)
    if not may_upload:
        content = [require_results(kind, iter(content), study_uid)]
    bound = study_uid if where["study"] or not may_upload else None
    response = _stored(request, node, content, bound)
    _note(request, node, study_uid, response)
    return response


def node_for(request: HttpRequest, study_uid: Uid, facts: Facts | None) -> Server:
    """Return the node with the best copy of the study, else the one for new studies of such facts.

    Without facts no study may be begun. Raises PeerUnreachable where a silent node may hold it:
    a study is not begun twice.
    """
    subject = request.user.get_username()
    try:
        found = holders(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
        able = next((one for one in found if one.abilities.store), found[0])
        return clients(subject, {able.name}, patient=True)[0]
    except NotFound:
        if facts is None:
            raise Refused("results can only be saved to an exam that is here") from None
    able = {one.name: one for one in clients(subject, patient=True) if one.abilities.store}
    rules = PlacingRule.objects.select_related("node")
    chosen = place(rules, facts, set(able)) or first_for_new_exams()
    if chosen not in able:
        raise PeerUnreachable(f"no server {config.STOW_NODE!r} is registered for new exams")
    return able[chosen]


def _stored(
    request: HttpRequest,
    node: Server,
    content: Iterable[bytes],
    study_uid: str | None,
) -> HttpResponse:
    path = f"studies/{study_uid}" if study_uid else "studies"
    given = sendable(request.headers, PASSED_ON)
    with node.store(path, _sent(content), given | forwarded(request), study=study_uid) as told:
        return held(told, node.name)


def _sent(content: Iterable[bytes]) -> Iterator[bytes]:
    yield from content


def _note(request: HttpRequest, node: Server, study_uid: str, response: HttpResponse) -> None:
    if response.status_code < 300:
        locate.remember({study_uid: [node.name]}, complete=False)
    record(
        request,
        Action.STORE,
        study_uid=study_uid,
        patient=patient_last_seen_in(study_uid),
        node=node.name,
        result=Result.of_status(response.status_code),
        status=response.status_code,
    )
