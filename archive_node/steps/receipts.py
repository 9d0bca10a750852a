"""What proves a copy to a node: for an eviction, and for storage commitment of what stays."""

from __future__ import annotations

from typing import Any

from archive_node.catalogue import Held
from archive_node.models import CopiedInstance
from archive_node.steps.manifest import Manifest
from archive_node.steps.work import Work
from pacs_common import errors


def receipt(row: CopiedInstance) -> dict[str, Any]:
    """Return what an eviction plan or a report of copies says of one instance."""
    return {
        "sop_instance_uid": row.sop_instance_uid,
        "stored_sha256": row.stored_sha256,
        "copies": [
            {
                "vault": row.copy.vault,
                "volume": row.copy.volume,
                "member": row.copy.member,
                "verified_at": row.copy.verified_at.isoformat(),
            }
        ],
    }


def tell(work: Work, proven: Held, manifest: Manifest) -> None:
    """Tell the node which of its instances have a verified copy; it may be told twice.

    Raises PeerUnreachable; a node that has no use for it is left alone.
    """
    named = [receipt(proven[entry.key]) for entry in manifest.instances if entry.key in proven]
    if not named:
        return
    try:
        work.client.receipts({"study_uid": work.study_uid, "instances": named})
    except errors.NotFound:
        work.note(f"{work.node} takes no receipts: it is older than this archive")
