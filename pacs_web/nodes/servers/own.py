"""A node of our own: HTTP with tickets."""

from __future__ import annotations

from pacs_common.node_client import NodeClient
from pacs_web.federation.server import Abilities


class OwnServer(NodeClient):
    """A node that knows the portal's key; it can do all that federation asks for."""

    abilities = Abilities(keyset_order=True, statistics=True, store=True, reject=True)
    id = 0

    @property
    def place(self) -> OwnServer:
        """The node by its row and its tickets."""
        return self

    def ticket(self, study: str | None) -> str:
        """Return a ticket to retrieve, bound to a study where one is named."""
        return self._ticket("dicomweb", study=study)
