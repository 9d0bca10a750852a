"""Answering an A-ASSOCIATE-RQ: what a peer may have of what it proposes (PS3.8 7.1.1, PS3.7 D)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dicom_node.dimse.association import associate
from dicom_node.dimse.association import wire as wires
from dicom_node.dimse.association.associate import (
    ACCEPTED,
    APPLICATION_CONTEXT,
    UNKNOWN_SOP_CLASS,
    UNKNOWN_SYNTAXES,
    USER_REJECTED,
    Proposed,
    Request,
    Result,
    UserItems,
)
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.messages import Context
from dicom_node.dimse.association.wire import AssociationEnded, BadPdu, Wire

PERMANENT, TRANSIENT = 1, 2
SERVICE_USER, ACSE, PRESENTATION = 1, 2, 3  # PS3.8 9.3.4: who rejects
NO_REASON, NO_SUCH_CONTEXT, CALLING_AE, CALLED_AE = 1, 2, 3, 7
PROTOCOL_VERSION, LIMIT_EXCEEDED = 2, 2
SCU = (True, False)  # the role of a requestor that asks for none


class Rejected(AssociationEnded):
    """We rejected the association; str() is the reason for IT."""


@dataclass(frozen=True)
class Offer:
    """What we take of one SOP class: its syntaxes, the best one first.

    With `both_roles` the peer may ask to be its SCP too, or alone (PS3.7 D.3.3.4).
    """

    sop_class: str
    syntaxes: tuple[str, ...]
    both_roles: bool = False


@dataclass(frozen=True)
class Refusal:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4), and why, for the log."""

    result: int
    source: int
    reason: int
    why: str


@dataclass(frozen=True)
class Admission:
    """Our answer to a request that is let in."""

    offers: Mapping[str, Offer]
    grant: Any = None
    identity: str = ""
    identity_response: bytes | None = None
    extended: Mapping[str, bytes] = field(default_factory=dict)


def accept(
    wire: Wire,
    address: str,
    admit: Callable[[Request], Admission | Refusal],
    *,
    within_s: float,
    idle_s: float,
) -> Conversation:
    """Serve one A-ASSOCIATE-RQ and return the association; raises AssociationEnded.

    `within_s` is the ARTIM time (PS3.8 9.1.5): the whole request must have come by then.
    """
    kind, encoded = wire.read_associate(within_s)
    if kind != wires.ASSOCIATE_RQ:
        raise BadPdu(f"a PDU of type 0x{kind:02X} before any association", wires.UNEXPECTED_PDU)
    request = associate.read_request(encoded)
    wire.set_idle(idle_s)
    answer = _impossible(request) or admit(request)
    if isinstance(answer, Refusal):
        _reject(wire, answer)
        raise Rejected(answer.why)
    results, contexts = negotiate(request.contexts, answer.offers, request.user.roles)
    roles = {
        uid: wanted
        for uid, wanted in request.user.roles.items()
        if (offer := answer.offers.get(uid)) and offer.both_roles
    }
    agreed = UserItems(
        max_pdu=wire.max_pdu_bytes,
        roles=roles,
        extended=answer.extended,
        identity_response=answer.identity_response,
        has_async_window=request.user.has_async_window,
    )
    wire.write([associate.write_answer(request, results, agreed)])
    return Conversation(
        wire=wire,
        contexts=contexts,
        peer_ae=request.calling_ae,
        peer_address=address,
        own_ae=request.called_ae,
        peer_max_pdu=request.user.max_pdu,
        extended=dict(answer.extended),
        grant=answer.grant,
        identity=answer.identity,
    )


def negotiate(
    proposed: Iterable[Proposed],
    offers: Mapping[str, Offer],
    roles: Mapping[str, tuple[bool, bool]],
) -> tuple[list[Result], dict[int, Context]]:
    """Return the answer to each proposed context, and the accepted ones by their id."""
    results: list[Result] = []
    contexts: dict[int, Context] = {}
    for one in proposed:
        result, syntax = _judged(one, offers.get(one.sop_class), roles.get(one.sop_class))
        results.append(Result(one.id, result, syntax or one.syntaxes[0]))
        if result == ACCEPTED:
            has_both = offers[one.sop_class].both_roles
            peer_scu, peer_scp = roles.get(one.sop_class, SCU) if has_both else SCU
            contexts[one.id] = Context(
                one.id, one.sop_class, syntax, as_scu=peer_scp, as_scp=peer_scu
            )
    return results, contexts


def _judged(
    asked: Proposed, offer: Offer | None, roles: tuple[bool, bool] | None
) -> tuple[int, str]:
    """Return the result for one context, and the syntax if we have one in common."""
    if offer is None:
        return UNKNOWN_SOP_CLASS, ""
    syntax = next((known for known in offer.syntaxes if known in asked.syntaxes), "")
    if not syntax:
        return UNKNOWN_SYNTAXES, ""
    if offer.both_roles and roles == (False, False):
        return USER_REJECTED, syntax
    return ACCEPTED, syntax


def _impossible(asked: Request) -> Refusal | None:
    if not asked.protocol_version & associate.PROTOCOL:
        return Refusal(PERMANENT, ACSE, PROTOCOL_VERSION, "unknown protocol version")
    if asked.application_context != APPLICATION_CONTEXT:
        why = f"application context {asked.application_context[:64]!r}"
        return Refusal(PERMANENT, SERVICE_USER, NO_SUCH_CONTEXT, why)
    if not asked.contexts:
        return Refusal(PERMANENT, SERVICE_USER, NO_REASON, "no presentation context is proposed")
    if len({context.id for context in asked.contexts}) < len(asked.contexts):
        raise BadPdu("two presentation contexts with one id")
    return None


def _reject(wire: Wire, refusal: Refusal) -> None:
    pdu = bytes([0, refusal.result, refusal.source, refusal.reason])
    wire.write([wires.HEADER.pack(wires.ASSOCIATE_RJ, 4) + pdu])
    wire.wait_for_close()
