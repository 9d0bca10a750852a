"""Storage commitment, push model (PS3.4 J): N-ACTION and N-EVENT-REPORT, as SCP and as SCU."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from pydicom.uid import generate_uid

from dicom_node import audit, peers
from dicom_node.commitment import queue
from dicom_node.commitment.checks import Checker
from dicom_node.config import CONFIG
from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association import offers
from dicom_node.dimse.association.associate import Proposal
from dicom_node.dimse.association.conversation import Conversation, NothingCame
from dicom_node.dimse.association.messages import Message
from dicom_node.dimse.association.status import (
    INVALID_ARGUMENT,
    NO_RESOURCES,
    NO_SUCH_ACTION,
    NO_SUCH_CLASS,
    NO_SUCH_EVENT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    SUCCESS,
    code_of,
)
from dicom_node.dimse.association.wire import AssociationEnded
from dicom_node.dimse.scp import commit_reports as reports
from dicom_node.dimse.scp import references
from dicom_node.dimse.scp.commit_reports import INSTANCE
from dicom_node.dimse.scu import remote
from dicom_node.dimse.scu.delivery import awaited
from dicom_node.index.away import asking_the_index
from dicom_node.index.durable import durable_transaction
from dicom_node.models import Commitment, Forward, Instance
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, IndexUnavailable, NotFound

LOG = logging.getLogger(__name__)
REQUEST_COMMITMENT = 1  # action type
MAX_LIST_BYTES = 4 << 20  # some 30,000 references
GRACE_S = 0.3  # a peer that wants the report elsewhere releases within this time


class _Refused(Exception):
    """A request that is answered with a failure; args: status, line for a person."""


def action(conversation: Conversation, message: Message) -> None:
    """Serve N-ACTION: keep a request durably, answer, and report here if that is soon done."""
    try:
        transaction_uid, items = _read_request(conversation, message)
        with asking_the_index():
            row = queue.accept(
                transaction_uid,
                items,
                peer_ae=conversation.peer_ae,
                peer_address=conversation.peer_address,
                own_ae=conversation.own_ae,
            )
    except _Refused as refused:
        status, why = refused.args
        LOG.warning("commitment refused: %s", why, extra=conversation.whose)
        conversation.answer(message, status, why)
        return
    except IndexUnavailable as error:
        conversation.answer(message, PROCESSING_FAILURE, str(error))
        return
    audit.note(
        "commitment",
        **conversation.whose,
        transaction_uid=transaction_uid,
        instances=len(items),
    )
    conversation.answer(
        message, SUCCESS, AffectedSOPInstanceUID=INSTANCE, ActionTypeID=REQUEST_COMMITMENT
    )
    _report_here(conversation, message, row)


def event_report(conversation: Conversation, message: Message) -> None:
    """Serve N-EVENT-REPORT: write down what a peer says of the instances that we asked about."""
    try:
        transaction_uid, outcome = _read_report(conversation, message)
        with asking_the_index():
            row = queue.reported(transaction_uid, outcome)
        if row is None:
            raise _Refused(INVALID_ARGUMENT, f"nothing was asked under {transaction_uid}")
    except _Refused as refused:
        conversation.answer(message, *refused.args)
        return
    except IndexUnavailable as error:
        conversation.answer(message, PROCESSING_FAILURE, str(error))
        return
    _tell_forwards(row)
    conversation.answer(
        message,
        SUCCESS,
        AffectedSOPInstanceUID=INSTANCE,
        EventTypeID=message.command["EventTypeID"],
    )


def report_answered(conversation: Conversation, message: Message) -> None:
    """Take the answer to a report that was sent on the peer's own association."""
    conversation.drain(message)
    row = conversation.asked.pop(message.command.get("MessageIDBeingRespondedTo"), None)
    if isinstance(row, Commitment):
        reports.settle(row, message.command.get("Status", PROCESSING_FAILURE))


def checker() -> Checker:
    """Return what decides requests by this node's settings."""
    return Checker(
        layout=Layout(CONFIG.data_dir),
        classes=_kept_classes(),
        copies=CONFIG.commit_requires_copies,
        copies_wait=timedelta(seconds=CONFIG.commit_copies_wait_s),
    )


def _kept_classes() -> frozenset[str]:
    classes = frozenset(offers.storage_classes())
    known = peers.current().peers.values()
    if CONFIG.keep_non_patient or any(peer.non_patient_objects for peer in known):
        classes |= frozenset(offers.NON_PATIENT_STORAGE)
    return classes


def ask_for_study(peer_ae: str, study_uid: str, *, requested_by: str) -> Commitment:
    """Put a request to a known peer, for all instances of a study, into the durable queue.

    Raises UnknownDestination, or NotFound where the study is not here.
    """
    peer = remote.known(peer_ae)
    found = Instance.objects.filter(series__study__uid=study_uid).order_by("id")
    items = list(found.values_list("sop_class", "uid"))
    if not items:
        raise NotFound(f"study {study_uid} is not here")
    with durable_transaction():
        return queue.ask(
            generate_uid(prefix=None),
            items,
            peer_ae=peer.ae_title,
            own_ae=CONFIG.ae_title,
            requested_by=requested_by,
        )


def ask(row: Commitment) -> None:
    """Send a request of ours, and wait a moment for a report on the same association.

    Raises PeerUnreachable, or UnknownDestination.
    """
    peer = replace(remote.known(row.peer_ae), calling_ae=row.own_ae or CONFIG.ae_title)
    conversation = peer.associate([Proposal(offers.COMMITMENT, offers.QUERY_SYNTAXES)])
    with reports.context_of(conversation, str(peer)) as context:
        number = conversation.next_message_id()
        items = row.items.order_by("id").values_list("sop_class", "uid").iterator()
        conversation.send(
            context.id,
            {
                "CommandField": commands.N_ACTION,
                "MessageID": number,
                "RequestedSOPClassUID": offers.COMMITMENT,
                "RequestedSOPInstanceUID": INSTANCE,
                "ActionTypeID": REQUEST_COMMITMENT,
            },
            references.encode(context.transfer_syntax, row.transaction_uid, items),
        )
        answer = awaited(conversation, number)
        status = answer.get("Status", PROCESSING_FAILURE)
        if status != SUCCESS:
            reports.postpone(row, status, "the request", answer.get("ErrorComment", ""))
            return
        queue.await_report(row, status)
        try:
            _take_report(conversation, CONFIG.commit_same_association_s)
        except AssociationEnded as error:  # it has the request, and may report on another one
            LOG.info("no report here: %s", error, extra={"ae_title": row.peer_ae})
            conversation.abort()


def _read_request(
    conversation: Conversation, message: Message
) -> tuple[str, list[references.Item]]:
    encoded = _data(conversation, message)
    command = message.command
    _require_instance(command.get("RequestedSOPClassUID"), command.get("RequestedSOPInstanceUID"))
    if command.get("ActionTypeID") != REQUEST_COMMITMENT:
        raise _Refused(NO_SUCH_ACTION, f"no action {command.get('ActionTypeID')}")
    try:
        return references.request(encoded, message.context.transfer_syntax)
    except BadInput as error:
        raise _Refused(INVALID_ARGUMENT, str(error)) from None


def _read_report(conversation: Conversation, message: Message) -> tuple[str, list[tuple[str, int]]]:
    encoded = _data(conversation, message)
    command = message.command
    _require_instance(command.get("AffectedSOPClassUID"), command.get("AffectedSOPInstanceUID"))
    if command.get("EventTypeID") not in (reports.ALL_COMMITTED, reports.SOME_FAILED):
        raise _Refused(NO_SUCH_EVENT, f"no event {command.get('EventTypeID')}")
    try:
        return references.report(encoded, message.context.transfer_syntax)
    except BadInput as error:
        raise _Refused(INVALID_ARGUMENT, str(error)) from None


def _data(conversation: Conversation, message: Message) -> bytes:
    try:
        return conversation.data(message, MAX_LIST_BYTES)
    except BadInput as error:
        raise _Refused(NO_RESOURCES, str(error)) from None


def _require_instance(sop_class: object, instance: object) -> None:
    if sop_class != offers.COMMITMENT:
        raise _Refused(NO_SUCH_CLASS, "this is not the Storage Commitment Push Model")
    if instance != INSTANCE:
        raise _Refused(NO_SUCH_INSTANCE, f"the SOP instance is not {INSTANCE}")


def _report_here(conversation: Conversation, message: Message, row: Commitment) -> None:
    """Report on the association that asked, if it is still open when the check is done.

    What is not done here in time, the chores do: they see the request once its lease is free.
    """
    deadline = time.monotonic() + CONFIG.commit_same_association_s
    is_under_way = False
    try:
        with asking_the_index():
            if _is_decided(row, lambda: _stays_open(conversation, message, deadline)):
                wait_s = min(GRACE_S, max(0.0, deadline - time.monotonic()))
                conversation.wire.waits(wait_s)
                if _stays_open(conversation, message, deadline):
                    conversation.asked[reports.send(conversation, message.context, row)] = row
                    is_under_way = True
    except IndexUnavailable:
        pass  # the peer has its answer, and the report comes later
    finally:
        if not is_under_way:
            _free(row)


def _is_decided(row: Commitment, may_go_on: Callable[[], bool]) -> bool:
    if row.state == Commitment.State.CHECKING and checker().decide(row, may_go_on):
        queue.advance(row, Commitment.State.REPORTING)
    return row.state == Commitment.State.REPORTING


def _stays_open(conversation: Conversation, message: Message, deadline: float) -> bool:
    """Return whether there is time left; raises AssociationEnded once the peer has released."""
    conversation.is_cancelled(message.id)  # reads what has come, a release included
    return time.monotonic() < deadline


def _free(row: Commitment) -> None:
    with suppress(IndexUnavailable), asking_the_index():
        queue.free(row)  # or it is free once the lease has run out


def _take_report(conversation: Conversation, wait_s: float) -> None:
    """Serve the peer's report, should it come on the association on which we asked."""
    deadline = time.monotonic() + wait_s
    while (left := deadline - time.monotonic()) > 0:
        try:
            message = conversation.receive(wait_s=left)
        except NothingCame:
            return
        if message is None:
            return
        if message.command["CommandField"] == commands.N_EVENT_REPORT:
            event_report(conversation, message)
            return
        conversation.drain(message)


def _tell_forwards(row: Commitment) -> None:
    """What the destination does not vouch for is shown where the sending is shown."""
    failed = row.items.exclude(reason=0).values_list("uid", "reason")
    for uid, reason in failed.iterator():
        why = "not in its report" if reason is None else code_of(reason)
        Forward.objects.filter(commitment=row, uid=uid).update(
            error=f"{row.peer_ae} does not commit it: {why}"
        )
