"""The node's commitment reports: N-EVENT-REPORT as the SCP of the push model (PS3.4 J.3.3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dicom_node.commitment import queue
from dicom_node.config import CONFIG
from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association import offers
from dicom_node.dimse.association.associate import Proposal
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.messages import Context
from dicom_node.dimse.association.status import NO_RESOURCES, PROCESSING_FAILURE, SUCCESS, code_of
from dicom_node.dimse.association.wire import AssociationEnded
from dicom_node.dimse.scp import references
from dicom_node.dimse.scu import remote
from dicom_node.dimse.scu.delivery import awaited
from dicom_node.models import Commitment
from pacs_common.errors import PeerUnreachable

LOG = logging.getLogger(__name__)
INSTANCE = "1.2.840.10008.1.20.1.1"  # the well-known one, PS3.4 J.3.5
ALL_COMMITTED, SOME_FAILED = 1, 2  # event types
_MAY_PASS = (PROCESSING_FAILURE, NO_RESOURCES)


def report(row: Commitment) -> None:
    """Report a decided request on an association of our own; raises PeerUnreachable.

    Raises UnknownDestination where it is not known at which address the peer listens.
    """
    peer = replace(remote.known(row.peer_ae), calling_ae=row.own_ae or CONFIG.ae_title)
    conversation = peer.associate(
        [Proposal(offers.COMMITMENT, offers.QUERY_SYNTAXES, scu=False, scp=True)]
    )
    with context_of(conversation, str(peer)) as context:
        number = send(conversation, context, row)
        answer = awaited(conversation, number)
        settle(row, answer.get("Status", PROCESSING_FAILURE))


def send(conversation: Conversation, context: Context, row: Commitment) -> int:
    """Send a report, and return its Message ID."""
    failed = row.items.filter(reason__gt=0).order_by("id")
    done = row.items.filter(reason=0).order_by("id")
    number = conversation.next_message_id()
    conversation.send(
        context.id,
        {
            "CommandField": commands.N_EVENT_REPORT,
            "MessageID": number,
            "AffectedSOPClassUID": offers.COMMITMENT,
            "AffectedSOPInstanceUID": INSTANCE,
            "EventTypeID": SOME_FAILED if failed.exists() else ALL_COMMITTED,
        },
        references.encode(
            context.transfer_syntax,
            row.transaction_uid,
            done.values_list("sop_class", "uid").iterator(),
            failed.values_list("sop_class", "uid", "reason").iterator(),
            retrieve_ae=CONFIG.ae_title,
        ),
    )
    return number


def settle(row: Commitment, status: int) -> None:
    """Take the peer's answer to a report."""
    if status == SUCCESS:
        queue.finish(row, status)
    else:
        postpone(row, status, "the report", "")


@contextmanager
def context_of(conversation: Conversation, peer: str) -> Iterator[Context]:
    """Use an association of ours and release it; what ends it early is told as PeerUnreachable."""
    found = conversation.contexts.values()
    taken = [context for context in found if context.abstract_syntax == offers.COMMITMENT]
    try:
        if not taken:
            raise PeerUnreachable(f"{peer} does not take storage commitment from us")
        yield taken[0]
    except AssociationEnded as error:
        conversation.abort()
        raise PeerUnreachable(f"{peer}: {error}") from None
    finally:
        conversation.release()


def postpone(row: Commitment, status: int, what: str, comment: str) -> None:
    """A failure that may pass is tried again; any other is the peer's last word."""
    error = f"{row.peer_ae} refused {what}: {code_of(status)} {comment}".strip()
    LOG.warning("%s", error)
    queue.postpone(row, error, status=status, is_final=status not in _MAY_PASS)
