"""What the node does for a peer within an association: one function for each DIMSE request."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pynetdicom.sop_class import Verification

from dicom_node import audit, measures
from dicom_node.arrivals.transfers import RELEASED, Account, Refusal
from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association.conversation import Conversation, Released
from dicom_node.dimse.association.messages import Context, Message
from dicom_node.dimse.association.offers import COMMITMENT, FIND, GET, MOVE
from dicom_node.dimse.association.status import (
    CLASS_NOT_SUPPORTED,
    NOT_AUTHORISED,
    SUCCESS,
    UNRECOGNISED_OPERATION,
)
from dicom_node.dimse.association.wire import AssociationEnded
from dicom_node.dimse.scp import commit, find, retrieve
from dicom_node.dimse.scp.receive import store
from dicom_node.ingest.ingest import Ingest
from dicom_node.store.layout import Layout

LOG = logging.getLogger(__name__)
_CLASSES = {
    commands.C_FIND: frozenset(FIND),
    commands.C_GET: frozenset(GET),
    commands.C_MOVE: frozenset(MOVE),
    commands.N_ACTION: frozenset({COMMITMENT}),
}
_NOT_STORED = frozenset().union(*_CLASSES.values(), {str(Verification)})

Service = Callable[[Conversation, Message], object]


@dataclass
class Services:
    """The services of one node; safe to use from many associations at once."""

    ingest: Ingest
    layout: Layout

    def serve(self, conversation: Conversation) -> None:
        """Answer a peer's requests until it releases the association; raises AssociationEnded."""
        visit = Visit(self, Account(conversation.whose, conversation.own_ae))
        why_ended = "the node failed"
        try:
            while (message := conversation.receive()) is not None:
                visit.answer(conversation, message)
            why_ended = RELEASED
        except Released as released:  # in the middle of an operation: the peer has heard enough
            why_ended = str(released) if visit.is_storing else RELEASED
        except AssociationEnded as error:
            why_ended = str(error)
            raise
        finally:
            visit.tell(conversation, why_ended)


@dataclass
class Visit:
    """One association's work, and the account of what it brought."""

    services: Services
    account: Account
    is_storing: bool = False
    _stored: Counter[tuple[str, str]] = field(default_factory=Counter)
    _bytes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        layout = self.services.layout
        self._known: dict[int, tuple[str, Service]] = {
            commands.C_STORE: ("store", self._store),
            commands.C_ECHO: ("echo", _echo),
            commands.C_FIND: ("query", find.find),
            commands.C_GET: ("retrieve", lambda c, m: retrieve.get(c, m, layout)),
            commands.C_MOVE: ("retrieve", lambda c, m: retrieve.move(c, m, layout)),
            commands.N_ACTION: ("commit", commit.action),
        }

    def answer(self, conversation: Conversation, message: Message) -> None:
        """Serve one request; what is not granted or not known here is refused."""
        asked = message.command["CommandField"]
        if asked & commands.RESPONSE:
            _answered(conversation, message)
            return
        if asked == commands.N_EVENT_REPORT:  # its Transaction UID says that we asked
            commit.event_report(conversation, message)
            return
        known = self._known.get(asked)
        if known is None:
            self._refuse(conversation, message, UNRECOGNISED_OPERATION, "not served here")
            return
        if not _is_for(asked, message.context):
            why = "the presentation context is for another service"
            self._refuse(conversation, message, CLASS_NOT_SUPPORTED, why)
            return
        right, service = known
        if not getattr(conversation.grant, right):
            why = f"{conversation.peer_ae} may not {right} here"
            audit.note("refused", **conversation.whose, why=why)
            self._refuse(conversation, message, NOT_AUTHORISED, why)
            return
        begun = time.perf_counter()
        service(conversation, message)
        measures.served(asked, begun)

    def tell(self, conversation: Conversation, why_ended: str) -> None:
        """Put into the audit what this association stored: a line for each study and outcome.

        People see its account in one row, with what was refused and how it ended.
        """
        self.account.end(why_ended)
        for (study, outcome), count in self._stored.items():
            audit.note(
                "stored",
                **conversation.whose,
                study_uid=study,
                outcome=outcome,
                instances=count,
                size_bytes=self._bytes[study, outcome],
            )

    def _store(self, conversation: Conversation, message: Message) -> None:
        self.account.begin()
        self.is_storing = True
        result = store(conversation, message, self.services.ingest)
        self.is_storing = False
        if isinstance(result, Refusal):
            self.account.refused(result)
            return
        self.account.stored(result)
        self._stored[result.identity.study, result.outcome.value] += 1
        self._bytes[result.identity.study, result.outcome.value] += result.size_bytes

    def _refuse(self, conversation: Conversation, message: Message, status: int, why: str) -> None:
        conversation.drain(message)
        conversation.answer(message, status, why)
        if message.command["CommandField"] == commands.C_STORE:
            self.account.begin()
            uid = message.command.get("AffectedSOPInstanceUID", "")
            self.account.refused(Refusal(status, why, uid))
            measures.received(measures.C_STORE, "refused")


def _is_for(asked: int, context: Context) -> bool:
    """Return whether a request belongs on a context: its class is served so, by us as SCP."""
    of_class = context.abstract_syntax
    if asked == commands.C_STORE:
        return context.as_scp and of_class not in _NOT_STORED
    return context.as_scp and of_class in _CLASSES.get(asked, (of_class,))


def _answered(conversation: Conversation, message: Message) -> None:
    """Take the answer to a request of ours; one to nothing is passed over."""
    if message.command["CommandField"] == commands.N_EVENT_REPORT | commands.RESPONSE:
        commit.report_answered(conversation, message)
    else:
        conversation.drain(message)


def _echo(conversation: Conversation, message: Message) -> None:
    conversation.drain(message)
    conversation.answer(message, SUCCESS)
