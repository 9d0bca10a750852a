"""What proves copies to a node: for an eviction, and for storage commitment of what stays."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from archive_node.catalogue import Held, Key, held_by_vault
from archive_node.models import CopiedInstance
from archive_node.steps.manifest import Manifest
from archive_node.steps.work import Work
from pacs_common import errors
from pacs_common.sentences import say


def receipt(rows: list[CopiedInstance]) -> dict[str, Any]:
    """Return what an eviction plan or a report of copies says of one instance: all its copies."""
    return {
        "sop_instance_uid": rows[0].sop_instance_uid,
        "stored_sha256": rows[0].stored_sha256,
        "copies": [
            {
                "vault": row.copy.vault,
                "volume": row.copy.volume,
                "member": row.copy.member,
                "verified_at": row.copy.verified_at.isoformat(),
            }
            for row in rows
        ],
    }


def tell(work: Work, manifest: Manifest) -> None:
    """Tell the node which of its instances have verified copies; it may be told twice.

    Raises PeerUnreachable; a node that has no use for it is left alone.
    """
    vaults = held_by_vault(work.node, work.study_uid, verified=True).values()
    copies = {entry.key: _in(vaults, entry.key) for entry in manifest.instances}
    named = [receipt(rows) for rows in copies.values() if rows]
    if not named:
        return
    try:
        work.client.receipts({"study_uid": work.study_uid, "instances": named})
    except errors.NotFound:
        work.note(say("node-old-receipts", node=work.node))


def _in(vaults: Collection[Held], key: Key) -> list[CopiedInstance]:
    return [vault[key] for vault in vaults if key in vault]
