"""DIMSE messages over one established association (PS3.7, PS3.8 annex E), as SCP or as SCU.

One thread, no queues: a message is read when it is asked for, its data set as it streams in.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association import wire as wires
from dicom_node.dimse.association.messages import (
    IS_COMMAND,
    IS_LAST,
    PDV,
    Context,
    Message,
    framed,
)
from dicom_node.dimse.association.wire import AssociationEnded, BadPdu, PeerAborted, Wire
from pacs_common.errors import BadInput

MAX_DATA_BYTES = 32 << 20  # identifiers: a list of 10,000 UIDs is 700 KB
UNLIMITED_PDU_BYTES = 1 << 18  # what we send where the peer sets no limit
MAX_KEPT, MAX_KEPT_BYTES = 16, 1 << 20  # of requests ahead of their turn; we agreed to one
MESSAGES_A_LOOK = 64  # what one look for a cancel reads at most
RELEASE_S = 5.0
_RELEASE_BODY = bytes(4)


class NothingCame(Exception):
    """No message began within the time that the caller wanted to wait."""


class Released(AssociationEnded):
    """The peer released the association in the middle of an operation."""


@dataclass
class Conversation:
    """An association after its negotiation; `grant` is what the peer may do here, if it called."""

    wire: Wire
    contexts: dict[int, Context]
    peer_ae: str
    peer_address: str
    own_ae: str
    peer_max_pdu: int
    extended: dict[str, bytes] = field(default_factory=dict)
    grant: Any = None
    identity: str = ""
    asked: dict[int, Any] = field(default_factory=dict)  # requests of ours, by Message ID

    def __post_init__(self) -> None:
        limit = self.peer_max_pdu or UNLIMITED_PDU_BYTES
        self._fragment_bytes = max(2, (min(limit, UNLIMITED_PDU_BYTES) - PDV.size) & ~1)
        self._pdu: memoryview = memoryview(b"")  # the P-DATA that is being read
        self._position = 0
        self._kept: deque[Message] = deque()  # came while we looked for a cancel
        self._cancelled: set[int] = set()
        self._last_message_id = 0
        self._reading: Message | None = None
        self.is_over = False

    @property
    def whose(self) -> dict[str, str]:
        """Who is at the other end, for log and audit."""
        return {
            "ae_title": self.peer_ae,
            "address": self.peer_address,
            "identity": self.identity,
        }

    def receive(self, wait_s: float | None = None) -> Message | None:
        """Return the next message, None once the peer has released the association.

        With `wait_s`, raises NothingCame where no message begins within that time. Raises
        AssociationEnded. Cancels of what is already answered are passed over.
        """
        while True:
            if self._kept:
                return self._kept.popleft()
            if wait_s is not None and not self._pdv_waits() and not self.wire.waits(wait_s):
                raise NothingCame
            try:
                message = self._message()
            except Released:
                return None
            if message.command["CommandField"] != commands.C_CANCEL:
                return message
            self._note_cancel(message)

    def data(self, message: Message, limit_bytes: int = MAX_DATA_BYTES) -> bytes:
        """Return the whole data set of a message, empty without one; BadInput for a longer one."""
        found = bytearray()
        for chunk in self.chunks(message):
            if len(found) <= limit_bytes:
                found += chunk
        if len(found) > limit_bytes:
            raise BadInput(f"the data set is longer than {limit_bytes} bytes")
        return bytes(found)

    def chunks(self, message: Message) -> Iterator[memoryview]:
        """Yield the data set of a message as it comes; each view is valid until the next one."""
        if message.kept:
            yield memoryview(message.kept)
        while self._reading is message:
            context_id, control, fragment = self._fragment()
            if context_id != message.context.id or control & IS_COMMAND:
                raise BadPdu("a fragment that does not belong to the data set under way")
            if control & IS_LAST:
                self._reading = None
            yield fragment

    def drain(self, message: Message) -> None:
        """Read the rest of a message's data set and forget it."""
        for _ in self.chunks(message):
            pass

    def send(
        self,
        context_id: int,
        command: dict[str, Any],
        data: bytes | Iterable[bytes | memoryview] | None = None,
    ) -> None:
        """Send one message; an iterable is streamed. Raises AssociationEnded.

        A streamed chunk must stay as it is until the one after it was asked for.
        """
        encoded = commands.encode(command, has_data=data is not None)
        parts = self._framed(context_id, encoded, IS_COMMAND)
        if data is None:
            self.wire.write(parts)
            return
        if isinstance(data, bytes):
            self.wire.write(
                chain(parts, framed(self._fragment_bytes, context_id, data, 0, is_last=True))
            )
            return
        self._stream(context_id, parts, iter(data))

    def _framed(self, context_id: int, data: bytes, kind: int) -> list[bytes | memoryview]:
        return list(framed(self._fragment_bytes, context_id, data, kind, is_last=True))

    def answer_alike(self, message: Message, status: int, data_sets: Iterable[bytes]) -> None:
        """Answer a request once for each data set, all with one status, in one write."""
        command = self._answer_to(message, status)
        encoded = commands.encode(command, has_data=True)
        head = self._framed(message.context.id, encoded, IS_COMMAND)
        parts: list[bytes | memoryview] = []
        for data in data_sets:
            parts += head
            parts += framed(self._fragment_bytes, message.context.id, data, 0, is_last=True)
        self.wire.write(parts)

    def answer(
        self,
        message: Message,
        status: int,
        comment: str = "",
        data: bytes | None = None,
        **fields: Any,
    ) -> None:
        """Answer a request of the peer with a status and, where it helps, one line of comment."""
        answer = self._answer_to(message, status) | fields
        if comment:
            answer["ErrorComment"] = commands.comment(comment)
        self.send(message.context.id, answer, data)

    def answer_with_next(self, message: Message, status: int, **fields: Any) -> None:
        """Answer a request in one write with what is sent next, or before anything is read."""
        encoded = commands.encode(self._answer_to(message, status) | fields, has_data=False)
        self.wire.hold(self._framed(message.context.id, encoded, IS_COMMAND))

    @staticmethod
    def _answer_to(message: Message, status: int) -> dict[str, Any]:
        asked = message.command
        answer = {
            "CommandField": asked["CommandField"] | commands.RESPONSE,
            "MessageIDBeingRespondedTo": message.id,
            "Status": status,
        }
        sop_class = asked.get("AffectedSOPClassUID") or asked.get("RequestedSOPClassUID")
        return answer | ({"AffectedSOPClassUID": sop_class} if sop_class else {})

    def is_cancelled(self, message_id: int) -> bool:
        """Return whether the peer has cancelled an operation; looks without waiting.

        Requests that come beside it are kept for later, so many and so much of their data; what
        lies behind them stays in the socket.
        """
        for _ in range(MESSAGES_A_LOOK):
            if message_id in self._cancelled or self._is_clogged() or not self._something_waits():
                break
            message = self._message()
            if message.command["CommandField"] == commands.C_CANCEL:
                self._note_cancel(message)
            else:
                self._keep(message)
        return message_id in self._cancelled

    def next_message_id(self) -> int:
        """Return a fresh Message ID for a request of ours (PS3.7 E.1: 16 bits)."""
        self._last_message_id = self._last_message_id % 65535 + 1
        return self._last_message_id

    def release(self) -> None:
        """Release the association (PS3.8 7.2) and close; a peer that does not answer is left."""
        if self.is_over:
            return
        self.is_over = True
        try:
            self.wire.set_idle(RELEASE_S)
            self.wire.write([wires.HEADER.pack(wires.RELEASE_RQ, 4) + _RELEASE_BODY])
            deadline = time.monotonic() + RELEASE_S
            while time.monotonic() < deadline:  # it may go on sending instead
                kind, _ = self.wire.read()
                if kind == wires.RELEASE_RQ:  # a collision: both ask at once (PS3.8 7.2.2.7)
                    self.wire.write([wires.HEADER.pack(wires.RELEASE_RP, 4) + _RELEASE_BODY])
                if kind in (wires.RELEASE_RP, wires.ABORT):
                    break
        except AssociationEnded:
            pass
        self.wire.close()

    def abort(self, reason: int = wires.NO_REASON) -> None:
        """Abort the association and close; `reason` is given where the peer broke the rules."""
        if not self.is_over:
            self.is_over = True
            source = wires.BY_PROVIDER if reason else wires.BY_USER
            self.wire.abort(source, reason)

    def _message(self) -> Message:
        """Read one command set; what an earlier message left of its data set goes first."""
        if self._reading is not None:
            self.drain(self._reading)
        encoded, of_context, control = bytearray(), 0, 0
        while not control & IS_LAST:
            context_id, control, fragment = self._fragment()
            if not control & IS_COMMAND:
                raise BadPdu("a data set without its command")
            if encoded and context_id != of_context:
                raise BadPdu("a command set in two contexts")
            of_context = context_id
            encoded += fragment
            if len(encoded) > commands.MAX_COMMAND_BYTES:
                raise BadPdu("a command set without an end")
        command = commands.decode(bytes(encoded))
        has_data = commands.has_data_set(command)
        message = Message(self.contexts[of_context], command, has_data)
        self._reading = message if has_data else None
        self._cancelled.discard(command.get("MessageID", 0))  # an earlier request had this number
        return message

    def _fragment(self) -> tuple[int, int, memoryview]:
        """Return context id, control header and bytes of the next PDV (PS3.8 9.3.5.1)."""
        while not self._pdv_waits():
            self._pdu, self._position = self._p_data(), 0
        pdu, start = self._pdu, self._position
        if start + PDV.size > len(pdu):
            raise BadPdu("a presentation data value that is cut")
        length, context_id, control = PDV.unpack_from(pdu, start)
        end = start + 4 + length
        if length < 2 or end > len(pdu):
            raise BadPdu("a presentation data value longer than its PDU")
        if context_id not in self.contexts:
            raise BadPdu(f"presentation context {context_id} was not accepted")
        self._position = end
        return context_id, control, pdu[start + PDV.size : end]

    def _pdv_waits(self) -> bool:
        return self._position < len(self._pdu)

    def _p_data(self) -> memoryview:
        """Return the next P-DATA; a release is answered and told as Released."""
        self._pdu, self._position = memoryview(b""), 0
        kind, body = self.wire.read()
        if kind == wires.P_DATA:
            return body
        self._over(kind, bytes(body))
        raise BadPdu(f"a PDU of type 0x{kind:02X} within an association", wires.UNEXPECTED_PDU)

    def _over(self, kind: int, body: bytes) -> None:
        if kind == wires.ABORT:
            self.is_over = True
            self.wire.close()
            raise PeerAborted(f"the peer aborted ({body.hex()})")
        if kind == wires.RELEASE_RQ:
            self.is_over = True
            try:
                self.wire.write([wires.HEADER.pack(wires.RELEASE_RP, 4) + _RELEASE_BODY])
            except AssociationEnded:
                pass  # it has what it wanted
            self.wire.close()
            raise Released("the peer released the association")

    def _keep(self, message: Message) -> None:
        """Keep a request until its turn; what there is no room for of its data stays unread."""
        room = MAX_KEPT_BYTES - sum(len(one.kept) for one in self._kept)
        found = bytearray()
        for chunk in self.chunks(message):
            found += chunk
            if len(found) >= room:
                break
        kept = replace(message, kept=bytes(found))
        if self._reading is message:
            self._reading = kept
        self._kept.append(kept)

    def _is_clogged(self) -> bool:
        """Return whether nothing more is read before a kept request has had its turn."""
        is_half_read = bool(self._kept) and self._kept[-1] is self._reading
        return is_half_read or len(self._kept) >= MAX_KEPT

    def _something_waits(self) -> bool:
        return self._pdv_waits() or self.wire.waits()

    def _note_cancel(self, message: Message) -> None:
        number = message.command.get("MessageIDBeingRespondedTo")
        if isinstance(number, int):
            self._cancelled.add(number)

    def _stream(
        self, context_id: int, parts: list[bytes | memoryview], data: Iterator[bytes | memoryview]
    ) -> None:
        """Send chunks as they come; the last one is known only when no other follows."""
        chunk = next(data, b"")
        for following in data:
            self.wire.write(
                chain(parts, framed(self._fragment_bytes, context_id, chunk, 0, is_last=False))
            )
            parts, chunk = [], following
        self.wire.write(
            chain(parts, framed(self._fragment_bytes, context_id, chunk, 0, is_last=True))
        )
