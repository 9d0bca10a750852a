"""Which servers there are, and clients that speak to them on behalf of a person."""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Mapping
from functools import lru_cache

from django.db.models import Q

from pacs_common.node_client import SCU_READ_S
from pacs_common.tickets import TicketIssuer
from pacs_web import config
from pacs_web.accounts.reach import reach_of
from pacs_web.federation.server import Server
from pacs_web.nodes.limited_server import LimitedServer
from pacs_web.nodes.models import Kind, Node
from pacs_web.nodes.servers.archive import ArchiveServer
from pacs_web.nodes.servers.connection import Connection, WebAddress
from pacs_web.nodes.servers.dimse import DimseServer
from pacs_web.nodes.servers.own import OwnServer
from pacs_web.nodes.servers.web import WebServer

ISSUER = "portal"
ARCHIVE = "archive"
STREAM_READ_S = 30.0
WithState = Server | ArchiveServer
_CLIENTS: dict[tuple[str, str, float], OwnServer] = {}
_CONNECTIONS: dict[tuple[WebAddress, float], Connection] = {}
_CLIENTS_LOCK = threading.Lock()


def register_nodes(addresses: Mapping[str, str]) -> None:
    """Add the nodes of PACS_NODES, in their order; an address that moved is followed."""
    for position, (name, url) in enumerate(addresses.items()):
        Node.objects.update_or_create(
            name=name,
            defaults={"url": url, "kind": Kind.OWN},
            create_defaults={"url": url, "position": position},
        )


def register_archive(url: str) -> None:
    """Add the archive of PACS_ARCHIVE_URL, behind the nodes; an address that moved is followed."""
    taken = Node.objects.filter(name=ARCHIVE).exclude(kind=Kind.ARCHIVE)
    if url and not taken.exists():
        last = Node.objects.count()
        Node.objects.update_or_create(
            name=ARCHIVE,
            kind=Kind.ARCHIVE,
            defaults={"url": url},
            create_defaults={"url": url, "position": last},
        )


def enabled_nodes() -> list[Node]:
    """Return the servers that are searched, in the order in which pages name them."""
    rows = Node.objects.filter(enabled=True).exclude(kind=Kind.ARCHIVE)
    return list(rows.select_related("through"))


def own_nodes() -> list[Node]:
    """Return the enabled nodes of our own."""
    return list(Node.objects.filter(enabled=True, kind=Kind.OWN))


def registered_archive() -> list[Node]:
    """Return the enabled archive, if there is one."""
    return list(Node.objects.filter(enabled=True, kind=Kind.ARCHIVE))


def first_for_new_exams() -> str:
    """Return the server of new exams that no rule places: PACS_STOW_NODE, or the first able one.

    "" where there is none.
    """
    able = Q(kind=Kind.OWN) | Q(kind=Kind.DICOMWEB, stores=True)
    named = Q(name=config.STOW_NODE) if config.STOW_NODE else Q()
    found = Node.objects.filter(able, named, enabled=True).first()
    return found.name if found else ""


def archive_url() -> str:
    """Return where the archive is ("" where the hospital has none, or it is disabled)."""
    rows = list(Node.objects.filter(kind=Kind.ARCHIVE))
    if not rows:
        return config.ARCHIVE_URL
    return next((row.url for row in rows if row.enabled), "")


def clients(
    subject: str, names: Collection[str] | None = None, *, patient: bool = False
) -> list[Server]:
    """Return clients of the enabled servers (those of `names`, where given) for `subject`.

    A question is given up after PACS_NODE_TIMEOUT_S; `patient` clients, which stream
    pixels and files, wait longer between two blocks. A person who is limited gets the nodes
    within reach, and of their answers what is open to the person.
    """
    found = unlimited_clients(subject, names, patient=patient)
    reach = reach_of(subject)
    if reach.whole:
        return found
    return [LimitedServer(one, reach) for one in found if reach.asks(one.name) or reach.granted]


def unlimited_clients(
    subject: str, names: Collection[str] | None = None, *, patient: bool = False
) -> list[Server]:
    """Return clients for what shows no patient: a server's state, the policy's own question."""
    read_s = STREAM_READ_S if patient else config.NODE_TIMEOUT_S
    return [
        client_of(node, subject, read_s)
        for node in enabled_nodes()
        if names is None or node.name in names
    ]


def own_clients(subject: str) -> list[OwnServer]:
    """Return clients of the enabled nodes of our own within reach, for more than DICOMweb."""
    reach = reach_of(subject)
    found = [node for node in own_nodes() if reach.asks(node.name)]
    return [own_client(node, subject, config.NODE_TIMEOUT_S) for node in found]


def state_clients(subject: str, nodes: Collection[Node]) -> list[WithState]:
    """Return what tells of the state of these servers, the archive's too."""
    wait_s = config.NODE_TIMEOUT_S
    return [
        ArchiveServer(node.name, node.url, ticket_issuer(), subject, wait_s)
        if node.kind == Kind.ARCHIVE
        else client_of(node, subject, wait_s)
        for node in nodes
    ]


def client_of(node: Node, subject: str, read_s: float) -> Server:
    """Return a client of one registered server, whether it is enabled or not."""
    if node.kind == Kind.DICOMWEB:
        return WebServer(node, _shared_connection(node, read_s))
    if node.kind == Kind.DIMSE:
        return dimse_client(node, subject, read_s)
    return own_client(node, subject, read_s)


def dimse_client(node: Node, subject: str, read_s: float) -> DimseServer:
    """Return a client of a DIMSE-only PACS, which is asked through its landing node."""
    return DimseServer(node, own_client(node.through, subject, read_s))


def own_client(node: Node, subject: str, read_s: float) -> OwnServer:
    """Return a client of a node of our own."""
    client = copy.copy(_shared_client(node.name, node.url, read_s))
    client.subject, client.id = subject, node.pk
    return client


@lru_cache(maxsize=1)
def ticket_issuer() -> TicketIssuer:
    """Return the portal's issuer; its public key is published in the trust folder."""
    return TicketIssuer.kept(ISSUER, config.TICKET_KEY_FILE, config.TICKET_KEY, config.TRUST_DIR)


def close_clients() -> None:
    """Let go of every connection to the servers; the next question opens new ones."""
    with _CLIENTS_LOCK:
        for client in _CLIENTS.values():
            client.http.close()
        for connection in _CONNECTIONS.values():
            connection.close()
        _CLIENTS.clear()
        _CONNECTIONS.clear()


def _shared_client(name: str, url: str, read_s: float) -> OwnServer:
    """One connection pool for each node: making one costs more than most questions."""
    with _CLIENTS_LOCK:
        client = _CLIENTS.get((name, url, read_s))
        if client is None:
            client = OwnServer(
                name,
                url,
                ticket_issuer(),
                subject="",
                connect_s=min(2.0, read_s),
                read_s=read_s,
                scu_read_s=SCU_READ_S if read_s >= STREAM_READ_S else 2 * read_s,
            )
            _CLIENTS[name, url, read_s] = client
        return client


def _shared_connection(node: Node, read_s: float) -> Connection:
    key = (WebAddress.of(node), read_s)
    with _CLIENTS_LOCK:
        if key not in _CONNECTIONS:
            _CONNECTIONS[key] = Connection(*key)
        return _CONNECTIONS[key]
