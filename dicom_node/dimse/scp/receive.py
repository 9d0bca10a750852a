"""C-STORE: streams each object into `ingest` and answers what became of it (PS3.4 B.2)."""

from __future__ import annotations

import logging

from dicom_node import measures
from dicom_node.arrivals.transfers import Refusal
from dicom_node.config import CONFIG
from dicom_node.custody import reject
from dicom_node.custody.reject_note import KEY_OBJECTS
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.messages import Message
from dicom_node.dimse.association.status import SUCCESS
from dicom_node.dimse.association.wire import AssociationEnded
from dicom_node.index.away import asking_the_index
from dicom_node.ingest.arrival import Origin
from dicom_node.ingest.ingest import Incoming, Ingest, Outcome, Result
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
LAYOUT = Layout(CONFIG.data_dir)


def store(conversation: Conversation, message: Message, ingest: Ingest) -> Result | Refusal:
    """Answer one C-STORE request; success only for what is durable and can be found.

    Returns what became of the object. Whatever happens to it, its data set is read to the end, so
    that the association can go on.
    """
    try:
        result = _taken(conversation, message, ingest)
    except ArgensError as error:
        LOG.warning("C-STORE refused: %s", error, extra=conversation.whose)
        return _refused(conversation, message, error.dimse_status, str(error))
    except AssociationEnded:
        raise
    except Exception:  # the DIMSE edge: whatever went wrong, the sender must keep its copy
        LOG.exception("C-STORE failed", extra=conversation.whose)
        failed = "internal error; see the node's log"
        return _refused(conversation, message, ArgensError.dimse_status, failed)
    if result.outcome is Outcome.QUARANTINED:
        told = {**conversation.whose, "sop_instance_uid": result.identity.instance}
        LOG.warning("object quarantined: %s", result.reason, extra=told)
    _answer(conversation, message, SUCCESS)
    return result


def _refused(conversation: Conversation, message: Message, status: int, why: str) -> Refusal:
    conversation.drain(message)
    _answer(conversation, message, status, why)
    measures.received(measures.C_STORE, "refused")
    return Refusal(status, why, message.command.get("AffectedSOPInstanceUID", ""))


def _taken(conversation: Conversation, message: Message, ingest: Ingest) -> Result:
    incoming = ingest.begin(_origin(conversation, message))
    try:
        result = _streamed(conversation, message, incoming)
    except BaseException:
        incoming.abandon()
        raise
    is_kept = result.outcome is not Outcome.QUARANTINED
    if is_kept and result.identity.sop_class == KEY_OBJECTS and conversation.grant.reject:
        with asking_the_index():
            reject.apply_note(
                LAYOUT, result.identity.instance, conversation.peer_ae, conversation.peer_ae
            )
    return result


def _streamed(conversation: Conversation, message: Message, incoming: Incoming) -> Result:
    write = incoming.write
    for chunk in conversation.chunks(message):
        write(chunk)
    return incoming.finish()


def _origin(conversation: Conversation, message: Message) -> Origin:
    command, grant = message.command, conversation.grant
    return Origin(
        transfer_syntax=message.context.transfer_syntax,
        affected_class=command.get("AffectedSOPClassUID", ""),
        affected_uid=command.get("AffectedSOPInstanceUID", ""),
        source_ae=conversation.peer_ae,
        called_ae=conversation.own_ae,
        fallback_charset=grant.fallback_charset,
        non_patient_objects=grant.non_patient_objects,
    )


def _answer(conversation: Conversation, message: Message, status: int, comment: str = "") -> None:
    uid = message.command.get("AffectedSOPInstanceUID", "")
    conversation.answer(message, status, comment, AffectedSOPInstanceUID=uid)
