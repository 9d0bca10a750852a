"""What a node offers over HTTP, as methods: used by the portal and the archive.

The shapes are those of `docs/interfaces.md`; every call raises the errors of
`pacs_common.errors` (PeerUnreachable where the node does not answer). A UID that is unsafe in an
address raises UnsafeUid, and nothing is sent.
"""

from __future__ import annotations

from pacs_common.node_client.access import Access
from pacs_common.node_client.arrivals import Arrivals
from pacs_common.node_client.connection import SCU_READ_S
from pacs_common.node_client.corrections import Corrections
from pacs_common.node_client.custody import Custody
from pacs_common.node_client.forwarding import Forwarding
from pacs_common.node_client.images import Images, bears_uid
from pacs_common.node_client.keeping import Keeping
from pacs_common.node_client.scu import DicomPeer, Scu

__all__ = ["SCU_READ_S", "DicomPeer", "NodeClient", "bears_uid"]


class NodeClient(Images, Custody, Keeping, Corrections, Forwarding, Access, Arrivals, Scu):
    """Speaks to the node `name` at `base_url` with tickets of `issuer`, on behalf of `subject`."""
