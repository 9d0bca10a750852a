"""Who is let in, and with which contexts: an A-ASSOCIATE-RQ against the known peers."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from dicom_node import audit, peers
from dicom_node.dimse.association.acceptor import (
    LIMIT_EXCEEDED,
    PRESENTATION,
    TRANSIENT,
    Admission,
    Refusal,
)
from dicom_node.dimse.association.associate import Request
from dicom_node.dimse.association.offers import FIND, offered
from dicom_node.dimse.server.slots import Slot
from dicom_node.index.semantics import agree
from dicom_node.peers import rejected

LOG = logging.getLogger(__name__)


@dataclass
class Door:
    """One connection that asks to come in: from where, with which place and certificate."""

    address: str
    slot: Slot | None
    certificate: peers.Certificate | None = None
    secured: bool = False
    _rejected: tuple[peers.Caller, peers.Rejection] | None = None

    @property
    def how(self) -> dict[str, object]:
        """How the connection is secured, for the audit."""
        shown = self.certificate
        return {"tls": self.secured, "certificate": shown.subject if shown else ""}

    def remember_rejection(self) -> None:
        """Keep a rejected caller for IT; not one that is only too many."""
        if self._rejected is not None:
            rejected.remember(*self._rejected)

    def admit(self, request: Request) -> Admission | Refusal:
        """Return what the caller may have here, or why it is rejected (logged and audited)."""
        caller = peers.Caller(
            ae_title=request.calling_ae,
            called_ae=request.called_ae,
            address=self.address,
            certificate=self.certificate,
            secured=self.secured,
            identity=request.user.identity,
        )
        decision = peers.decide(peers.current(), caller)
        if isinstance(decision, peers.Rejection):
            self._rejected = (caller, decision)
            return self._refused(
                request,
                Refusal(decision.result, decision.source, decision.reason, decision.why),
            )
        if self.slot is None or not self.slot.identify(
            request.calling_ae, decision.max_associations
        ):
            why = f"{request.calling_ae} from {self.address}: too many associations"
            return self._refused(request, Refusal(TRANSIENT, PRESENTATION, LIMIT_EXCEEDED, why))
        return Admission(
            offers=offered(decision.syntax_preference),
            grant=decision,
            identity=decision.user,
            identity_response=decision.identity_response,
            extended=_agreed(request),
        )

    def _refused(self, request: Request, refusal: Refusal) -> Refusal:
        who = {"ae_title": request.calling_ae, "address": self.address}
        LOG.warning("association rejected: %s", refusal.why, extra={"peer": self.address})
        audit.note("rejected", **who, called_ae=request.called_ae, why=refusal.why)
        return refusal


def _agreed(request: Request) -> dict[str, bytes]:
    """Return our part of each extended negotiation that makes sense here (PS3.7 D.3.3.5)."""
    proposed = {context.sop_class for context in request.contexts}
    return {
        sop_class: agree(sop_class, asked)
        for sop_class, asked in request.user.extended.items()
        if sop_class in FIND and sop_class in proposed
    }
