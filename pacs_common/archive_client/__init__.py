"""What the archive offers over HTTP, as methods: used by the portal.

The shapes are those of `docs/interfaces.md`; errors as in `node_client`.
"""

from __future__ import annotations

from pacs_common.archive_client.connection import AUDIENCE
from pacs_common.archive_client.jobs import Jobs
from pacs_common.archive_client.policy import Policy
from pacs_common.archive_client.state import State
from pacs_common.archive_client.volumes import Volumes

__all__ = ["AUDIENCE", "ArchiveClient"]


class ArchiveClient(State, Jobs, Volumes, Policy):
    """Speaks to the archive at `base_url` with tickets of `issuer`, on behalf of `subject`."""
