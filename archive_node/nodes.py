"""The nodes that are archived, as clients; the archive signs its own tickets."""

import copy
from functools import cache
from pathlib import Path

from django.conf import settings

from pacs_common import errors
from pacs_common.node_client import NodeClient
from pacs_common.sentences import say
from pacs_common.tickets import TicketIssuer

NAME = "archive"  # as issuer of tickets
READ_S = 120.0  # an eviction of a large study compares many digests


def names() -> list[str]:
    """Return the names of the nodes that are archived."""
    return sorted(settings.ARCHIVE.nodes)


def client(name: str, *, subject: str) -> NodeClient:
    """Return a client of a node; raises BadInput where no node has this name."""
    try:
        url = settings.ARCHIVE.nodes[name]
    except KeyError:
        raise errors.BadInput(say("node-unknown", name=name[:40])) from None
    known = copy.copy(_connected(name, url, issuer()))  # the connections are shared
    known.subject = subject
    return known


def issuer() -> TicketIssuer:
    """Return the archive's ticket issuer; its public key is published in the trust folder."""
    config = settings.ARCHIVE
    return _issuer(config.ticket_key_file, config.ticket_key, config.trust_dir)


@cache
def _connected(name: str, url: str, signer: TicketIssuer) -> NodeClient:
    return NodeClient(name, url, signer, subject="archive", read_s=READ_S)


@cache
def _issuer(file: Path | None, key: str, trust_dir: Path) -> TicketIssuer:
    return TicketIssuer.kept(NAME, file, key, trust_dir)
