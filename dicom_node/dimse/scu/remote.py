"""The application entities that the node calls: where they listen, and calling them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from dicom_node import peers
from dicom_node.config import CONFIG
from dicom_node.dimse.association import requestor, tls
from dicom_node.dimse.association.associate import Proposal
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.peers import Destination
from pacs_common.errors import UnknownDestination

CONNECT_S = 5.0


@dataclass(frozen=True)
class Remote:
    """An application entity to call, and how; `secured` where it is called over TLS."""

    ae_title: str
    host: str
    port: int
    calling_ae: str = CONFIG.ae_title
    secured: Destination | None = None

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"

    def associate(self, proposals: Iterable[Proposal]) -> Conversation:
        """Open an association; raises PeerUnreachable with the full reason."""
        secure = None
        if self.secured is not None:
            secure = partial(tls.call, tls=CONFIG.tls, destination=self.secured)
        return requestor.request(
            (self.host, self.port),
            called_ae=self.ae_title,
            calling_ae=self.calling_ae,
            proposals=proposals,
            connect_s=CONNECT_S,
            idle_s=CONFIG.peer_response_s,
            max_pdu_bytes=CONFIG.max_pdu_bytes,
            secure=secure,
        )


def is_known(ae_title: str) -> bool:
    """Return whether this node knows where a peer listens."""
    return peers.current().destination(ae_title) is not None


def known(ae_title: str) -> Remote:
    """Return a peer that this node knows by its AE title; raises UnknownDestination."""
    found = peers.current().destination(ae_title)
    if found is None:
        raise UnknownDestination(f"no peer {ae_title!r} with an address is known here")
    secured = found if found.tls else None
    return Remote(found.ae_title, found.host, found.port, secured=secured)
