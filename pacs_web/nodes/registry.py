"""Which nodes there are, and clients that speak to them on behalf of a person."""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Mapping
from functools import lru_cache

from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from pacs_web import config
from pacs_web.nodes.models import Node

ISSUER = "portal"
STREAM_READ_S = 30.0
_CLIENTS: dict[tuple[str, str, float], NodeClient] = {}
_CLIENTS_LOCK = threading.Lock()


def register_nodes(addresses: Mapping[str, str]) -> None:
    """Add the nodes of PACS_NODES, in their order; an address that moved is followed."""
    for position, (name, url) in enumerate(addresses.items()):
        Node.objects.update_or_create(name=name, defaults={"url": url, "position": position})


def enabled_nodes() -> list[Node]:
    """Return the nodes that are asked, in the order in which pages name them."""
    return list(Node.objects.filter(enabled=True))


def clients(
    subject: str, names: Collection[str] | None = None, *, patient: bool = False
) -> list[NodeClient]:
    """Return clients of the enabled nodes (those of `names`, where given) for `subject`.

    A question is given up after PACS_NODE_TIMEOUT_S; `patient` clients, which stream
    pixels and files, wait longer between two blocks.
    """
    read_s = STREAM_READ_S if patient else config.NODE_TIMEOUT_S
    return [
        _on_behalf(subject, node, read_s)
        for node in enabled_nodes()
        if names is None or node.name in names
    ]


@lru_cache(maxsize=1)
def ticket_issuer() -> TicketIssuer:
    """Return the portal's issuer; its public key is published in the trust folder."""
    return TicketIssuer.at(ISSUER, config.DATA_DIR / "portal.key.pem", config.TRUST_DIR)


def close_clients() -> None:
    """Let go of every connection to the nodes; the next question opens new ones."""
    with _CLIENTS_LOCK:
        for client in _CLIENTS.values():
            client.http.close()
        _CLIENTS.clear()


def _on_behalf(subject: str, node: Node, read_s: float) -> NodeClient:
    client = copy.copy(_shared_client(node.name, node.url, read_s))
    client.subject = subject
    return client


def _shared_client(name: str, url: str, read_s: float) -> NodeClient:
    """One connection pool for each node: making one costs more than most questions."""
    with _CLIENTS_LOCK:
        client = _CLIENTS.get((name, url, read_s))
        if client is None:
            connect_s = min(2.0, read_s)
            client = NodeClient(
                name, url, ticket_issuer(), subject="", connect_s=connect_s, read_s=read_s
            )
            _CLIENTS[name, url, read_s] = client
        return client
