"""C-MOVE and C-GET as SCP (PS3.4 C.4.2, C.4.3): one loop of sub-operations, two ways to send."""

from __future__ import annotations

import logging

from dicom_node import audit
from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association import identifiers
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.messages import Message
from dicom_node.dimse.association.offers import RETRIEVE
from dicom_node.dimse.association.status import NO_NUMBER_OF_MATCHES
from dicom_node.dimse.scp.suboperations import Retrieval
from dicom_node.dimse.scu import remote
from dicom_node.dimse.scu.plan import Plan
from dicom_node.index import wanted
from dicom_node.index.attributes import UNIQUE_KEY, Level, text_of
from dicom_node.index.away import asking_the_index
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, BadQuery, IndexUnavailable, Refused

LOG = logging.getLogger(__name__)
_KEYS = [*UNIQUE_KEY.values(), "IssuerOfPatientID"]


def get(caller: Conversation, request: Message, layout: Layout) -> None:
    """Serve one C-GET: the instances go back on the caller's own association."""
    _serve(caller, request, layout, None)


def move(caller: Conversation, request: Message, layout: Layout) -> None:
    """Serve one C-MOVE: the instances go to a destination on an association that we open."""
    title = str(request.command.get("MoveDestination", "")).strip()
    try:
        destination = _destination(caller, title)
    except ArgensError as error:
        LOG.warning("C-MOVE refused: %s", error, extra={"destination": title})
        audit.note("refused", **caller.whose, operation="C-MOVE", why=str(error))
        caller.drain(request)
        caller.answer(request, error.dimse_status, str(error))
        return
    _serve(caller, request, layout, destination)


def _destination(caller: Conversation, title: str) -> remote.Remote:
    """Return where a C-MOVE goes; raises UnknownDestination, Refused where it is not granted."""
    found = remote.known(title)
    granted = caller.grant.destinations
    if granted is not None and title not in granted:
        raise Refused(f"{caller.peer_ae} may not move to {title}")
    return found


def _serve(
    caller: Conversation, request: Message, layout: Layout, destination: remote.Remote | None
) -> None:
    try:
        with asking_the_index():
            plan = _planned(caller, request, layout)
    except IndexUnavailable as error:
        caller.answer(request, NO_NUMBER_OF_MATCHES, str(error))
        return
    except ArgensError as error:
        LOG.warning("retrieve refused: %s", error.title, extra=caller.whose)  # the caller hears why
        caller.answer(request, error.dimse_status, str(error))
        return
    Retrieval(caller, request, plan, destination).run()


def _planned(caller: Conversation, request: Message, layout: Layout) -> Plan:
    """Return what a request names; its studies count as read, what is away is asked for."""
    content, context = caller.data(request), request.context
    identifier = identifiers.decoded(content, context.transfer_syntax)
    level = identifiers.level_of(identifier, RETRIEVE[context.abstract_syntax])
    keys = {keyword: text_of(identifier, keyword) for keyword in _KEYS}
    if level is Level.PATIENT and set(keys["PatientID"]) & set("*?\\"):
        raise BadQuery("a retrieve names one patient, without wild cards")
    plan = Plan.of(wanted.instances(level, keys), layout)
    wanted.note_access(plan.studies)
    operation = "C-GET" if request.command["CommandField"] == commands.C_GET else "C-MOVE"
    wanted.ask_for(plan.away_studies, f"{operation} from {caller.peer_ae}")
    return plan
