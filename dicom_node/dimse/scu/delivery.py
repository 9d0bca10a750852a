"""C-STORE as SCU: objects one after the other, the next one read while the peer works.

C-GET sends on its caller's association, C-MOVE and the node's own sending on one that they open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from dicom_node import measures
from dicom_node.config import CONFIG
from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association.associate import Proposal
from dicom_node.dimse.association.conversation import Conversation, NothingCame, Released
from dicom_node.dimse.association.messages import Context
from dicom_node.dimse.association.status import PROCESSING_FAILURE, SUCCESS
from dicom_node.dimse.association.wire import AssociationEnded, PeerGone, PeerSilent
from dicom_node.dimse.scu.encoding import encode
from dicom_node.dimse.scu.outgoing import Data, Item, require_sendable
from dicom_node.dimse.scu.remote import Remote
from pacs_common.errors import ArgensError, PeerUnreachable

LOOK_S = 1.0  # how often a waiting association looks after its caller
REOPENINGS = 2  # of an association that the peer broke: one for a fault, one past a poisoned object
MEDIUM = 0  # PS3.7 9.3.1.1: the priority
_WARNINGS = {0x0001, 0x0107, 0x0116}  # PS3.7 C.4; and 0xBxxx, PS3.4 B.2.3


@dataclass(frozen=True)
class Delivered:
    """What became of one item: the peer's status, or None and why it was not sent.

    `is_lost` tells that the peer is away for good: what follows is not tried.
    """

    item: Item
    status: int | None
    reason: str = ""
    is_lost: bool = False

    @property
    def is_warning(self) -> bool:
        """True where the peer has it, but changed or doubted something."""
        return self.status is not None and (
            self.status in _WARNINGS or 0xB000 <= self.status <= 0xBFFF
        )

    @property
    def is_taken(self) -> bool:
        """True where the peer has it."""
        return self.status == SUCCESS or self.is_warning


class Line(Protocol):
    """What items are delivered on."""

    def conversation(self) -> Conversation:
        """Return the association, opened where it is not; PeerUnreachable once it is lost."""

    def recover(self, error: AssociationEnded) -> bool:
        """Return whether a new association may be tried after this one ended."""

    def look(self) -> None:
        """Look after whoever asked for the delivery; called while the peer lets us wait."""

    @property
    def is_lost(self) -> bool:
        """True once no association is tried any more."""


@dataclass
class OwnLine:
    """The association of the caller itself, for C-GET: when it ends, all ends."""

    caller: Conversation
    is_lost: bool = False

    def conversation(self) -> Conversation:
        """Return the caller's association."""
        return self.caller

    def recover(self, error: AssociationEnded) -> bool:
        """Raise what ended it: there is nobody left to answer."""
        raise error

    def look(self) -> None:
        """Do nothing: the caller is who we are waiting for."""


@dataclass
class CalledLine:
    """Associations that we open with a peer, one at a time."""

    remote: Remote
    looking: Callable[[], None] = lambda: None
    lost: str = ""
    _proposals: list[Proposal] = field(default_factory=list)
    _open: Conversation | None = None
    _reopenings: int = REOPENINGS

    @property
    def is_lost(self) -> bool:
        """True once the peer cannot be reached, hangs, or broke too many associations."""
        return bool(self.lost)

    def start(self, proposals: list[Proposal]) -> None:
        """Propose these contexts from now on; an open association is released."""
        self.release()
        self._proposals = proposals

    def conversation(self) -> Conversation:
        """Return the open association or a new one; raises PeerUnreachable."""
        if self.lost:
            raise PeerUnreachable(self.lost)
        if self._open is None:
            try:
                self._open = self.remote.associate(self._proposals)
            except PeerUnreachable as error:
                self.lost = str(error)
                raise
        return self._open

    def look(self) -> None:
        """Look after whoever asked; what that raises breaks off, for an answer is still due."""
        try:
            self.looking()
        except BaseException:
            self.abort()
            raise

    def recover(self, error: AssociationEnded) -> bool:
        """Close what ended; a peer that hangs is not tried again, one that broke off is."""
        self.abort()
        self._reopenings -= 1
        if isinstance(error, PeerSilent) or self._reopenings < 0:
            self.lost = f"{self.remote}: {error}"
        return not self.lost

    def release(self) -> None:
        """End the open association, if any."""
        if self._open is not None:
            self._open.release()
            self._open = None

    def abort(self) -> None:
        """Break the open association off, if any."""
        if self._open is not None:
            self._open.abort()
            self._open = None


@dataclass(frozen=True)
class _Turn:
    """An item that is ready to be sent on one association, or why it cannot be."""

    item: Item
    conversation: Conversation | None = None
    context_id: int = 0
    data: Data = b""
    why: str = ""


class Delivery:
    """Sends items over a line; `told` are further fields of each C-STORE request."""

    def __init__(self, line: Line, **told: Any) -> None:
        self._line = line
        self._told = told
        self._upcoming: Iterator[Item] = iter(())
        self._ahead: _Turn | None = None
        self._taken: dict[str, dict[str, Context]] = {}
        self._taken_of: Conversation | None = None

    def run(self, items: Iterable[Item]) -> Iterator[Delivered]:
        """Yield what becomes of each item; whoever stops reading stops the sending.

        Raises AssociationEnded where the line is the caller's own and ends.
        """
        self._upcoming = iter(items)
        door = measures.C_GET if isinstance(self._line, OwnLine) else measures.C_STORE_SCU
        while (turn := self._next()) is not None:
            done = self._delivered(turn)
            measures.sent(door, is_taken=done.is_taken, size_bytes=done.item.size_bytes)
            yield done

    @property
    def is_next_ready(self) -> bool:
        """True where the next item is read, and is sent at once on the association that is open."""
        return self._ahead is not None and self._ahead.conversation is not None

    def _next(self) -> _Turn | None:
        turn, self._ahead = self._ahead, None
        if turn is None:
            return self._prepared_next()
        if turn.conversation is not None and turn.conversation is not self._taken_of:
            return self._prepared(turn.item)  # it was made ready for an association that ended
        return turn

    def _prepared_next(self) -> _Turn | None:
        item = next(self._upcoming, None)
        return None if item is None else self._prepared(item)

    def _prepared(self, item: Item) -> _Turn:
        try:
            require_sendable(item)
            conversation = self._line.conversation()
            contexts = self._contexts(conversation).get(item.sop_class, {})
            syntax, data = encode(item, contexts)
        except ArgensError as error:
            return _Turn(item, why=str(error))
        return _Turn(item, conversation, contexts[syntax].id, data)

    def _contexts(self, conversation: Conversation) -> dict[str, dict[str, Context]]:
        """Return what may be sent: SOP class -> transfer syntax -> context."""
        if conversation is not self._taken_of:
            self._taken_of, self._taken = conversation, {}
            for context in conversation.contexts.values():
                if context.as_scu:
                    of_class = self._taken.setdefault(context.abstract_syntax, {})
                    of_class[context.transfer_syntax] = context
        return self._taken

    def _delivered(self, turn: _Turn) -> Delivered:
        """Send a turn; where the association ends over it, once more on another one."""
        for again in (True, False):
            if turn.conversation is None:
                return Delivered(turn.item, None, turn.why, self._line.is_lost)
            try:
                return Delivered(turn.item, *self._exchanged(turn.conversation, turn))
            except AssociationEnded as error:
                self._taken_of = None
                turn_failed = Delivered(turn.item, None, str(error))
                if not self._line.recover(error):
                    break
                if again:
                    turn = self._prepared(turn.item)
        return turn_failed

    def _exchanged(self, conversation: Conversation, turn: _Turn) -> tuple[int, str]:
        number = conversation.next_message_id()
        request = {
            "CommandField": commands.C_STORE,
            "MessageID": number,
            "AffectedSOPClassUID": turn.item.sop_class,
            "AffectedSOPInstanceUID": turn.item.uid,
            "Priority": MEDIUM,
            **self._told,
        }
        try:
            conversation.send(turn.context_id, request, turn.data)
        except OSError as error:  # the disk, in mid-stream: half a data set cannot be taken back
            conversation.abort()
            raise PeerGone(f"the file cannot be read: {error.strerror}") from None
        if self._ahead is None:
            self._ahead = self._prepared_next()
        answer = awaited(conversation, number, self._line.look)
        status = answer.get("Status", PROCESSING_FAILURE)
        return status, answer.get("ErrorComment", "")


def awaited(
    conversation: Conversation, number: int, look: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Return the answer to our request `number`; raises AssociationEnded.

    `look` is called each second of waiting; a peer that does not answer within
    PACS_PEER_RESPONSE_S seconds is aborted and told as PeerSilent.
    """
    deadline = time.monotonic() + CONFIG.peer_response_s
    while True:
        try:
            message = conversation.receive(wait_s=min(LOOK_S, CONFIG.peer_response_s))
        except NothingCame:
            look()
        else:
            if message is None:
                raise Released("the peer released the association in the middle of an operation")
            if message.command.get("MessageIDBeingRespondedTo") == number:
                return message.command
            conversation.drain(message)
        if time.monotonic() >= deadline:
            conversation.abort()
            raise PeerSilent(f"it did not answer within {CONFIG.peer_response_s:g} s")
