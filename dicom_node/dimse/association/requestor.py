"""Opening an association with a peer (PS3.8 7.1.1)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping

from dicom_node.dimse.association import associate
from dicom_node.dimse.association import wire as wires
from dicom_node.dimse.association.associate import ACCEPTED, Answer, Proposal, Result
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.messages import Context
from dicom_node.dimse.association.wire import AssociationEnded, BadPdu, PeerAborted, Wire
from pacs_common.errors import ArgensError, PeerUnreachable

Secure = Callable[[socket.socket], socket.socket]
MAX_CONTEXTS = 128  # PS3.8 9.3.2.2: odd context ids from 1 to 255
_REJECTION_BYTES = 10
_REASONS = {  # PS3.8 9.3.4
    1: (
        "service user",
        {
            1: "no reason given",
            2: "application context name not supported",
            3: "calling AE title not recognised",
            7: "called AE title not recognised",
        },
    ),
    2: ("service provider", {1: "no reason given", 2: "protocol version not supported"}),
    3: ("service provider", {1: "temporary congestion", 2: "local limit exceeded"}),
}


def request(
    address: tuple[str, int],
    *,
    called_ae: str,
    calling_ae: str,
    proposals: Iterable[Proposal],
    connect_s: float = 5.0,
    answer_s: float = 15.0,
    idle_s: float = 30.0,
    max_pdu_bytes: int = 131072,
    secure: Secure | None = None,
) -> Conversation:
    """Open an association; raises PeerUnreachable with the peer's full reason.

    It must be connected within `connect_s` and have answered within `answer_s` seconds. `secure`
    does the TLS handshake over the connection, where the peer wants one.
    """
    peer = f"{called_ae} at {address[0]}:{address[1]}"
    proposals = list(proposals)
    if not proposals:
        raise PeerUnreachable(f"there is nothing to ask {peer} for")
    if len(proposals) > MAX_CONTEXTS:
        raise ValueError(f"{len(proposals)} contexts in one association; 128 fit")
    wire = _connected(address, peer, connect_s, idle_s, max_pdu_bytes, secure)
    try:
        wire.write([associate.write_request(called_ae, calling_ae, proposals, max_pdu_bytes)])
        kind, encoded = wire.read_associate(min(answer_s, idle_s))
        wire.set_idle(idle_s)
        answer = _read_answer(kind, encoded, peer)
    except AssociationEnded as error:
        wire.close()
        raise PeerUnreachable(f"{peer}: {error}") from None
    except ArgensError:
        wire.close()
        raise
    return Conversation(
        wire=wire,
        contexts=_established(answer.results, proposals, answer.user.roles),
        peer_ae=called_ae,
        peer_address=address[0],
        own_ae=calling_ae,
        peer_max_pdu=answer.user.max_pdu,
        extended=dict(answer.user.extended),
    )


def _connected(
    address: tuple[str, int],
    peer: str,
    connect_s: float,
    idle_s: float,
    max_pdu_bytes: int,
    secure: Secure | None,
) -> Wire:
    try:
        connection = socket.create_connection(address, timeout=connect_s)
    except (OSError, UnicodeError) as error:
        raise PeerUnreachable(f"{peer} cannot be reached: {_reason(error)}") from None
    try:
        if secure is not None:
            connection = secure(connection)
        return Wire(connection, idle_s=idle_s, max_pdu_bytes=max_pdu_bytes)
    except OSError as error:
        connection.close()
        raise PeerUnreachable(f"{peer}: the connection failed: {_reason(error)}") from None
    except ArgensError:
        connection.close()
        raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _read_answer(kind: int, encoded: bytes, peer: str) -> Answer:
    if kind == wires.ASSOCIATE_AC:
        return associate.read_answer(encoded)
    if kind == wires.ASSOCIATE_RJ and len(encoded) >= _REJECTION_BYTES:
        raise PeerUnreachable(f"{peer} rejected the association: {_rejection(*encoded[7:10])}")
    if kind == wires.ABORT:
        raise PeerAborted("it aborted the association")
    raise BadPdu(f"a PDU of type 0x{kind:02X} as an answer")


def _rejection(result: int, source: int, reason: int) -> str:
    for_how_long = {1: "permanently", 2: "for now"}.get(result, f"result {result}")
    by, reasons = _REASONS.get(source, (f"source {source}", {}))
    return f"{for_how_long}, by the {by}: {reasons.get(reason, f'reason {reason}')}"


def _established(
    results: Iterable[Result], proposals: list[Proposal], agreed: Mapping[str, tuple[bool, bool]]
) -> dict[int, Context]:
    """Return the accepted contexts; a peer that passes our roles over leaves us the SCU."""
    contexts = {}
    for one in results:
        number = one.id // 2
        if one.result != ACCEPTED or not one.id % 2 or number >= len(proposals):
            continue
        ours = proposals[number]
        if one.syntax not in ours.syntaxes:
            continue  # not ours to use: nothing could be encoded so that both agree
        scu, scp = (True, False)
        if (ours.scp or not ours.scu) and ours.sop_class in agreed:
            their_scu, their_scp = agreed[ours.sop_class]
            scu, scp = ours.scu and their_scu, ours.scp and their_scp
        contexts[one.id] = Context(one.id, ours.sop_class, one.syntax, as_scu=scu, as_scp=scp)
    return contexts
