"""The manifest of a member: what it says of its study (docs/formats/archive-volume.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from typing import Any

from django.utils import timezone

from archive_node.catalogue import Held, Key
from archive_node.models import CopiedInstance
from archive_node.steps.manifest import Instance, Manifest
from archive_node.steps.work import Work
from archive_node.vault import volume

# what copying, evicting and recalling a study leave in its node's journal calls for no copy
_OF_ITS_OWN = {"offered", "copied", "evicted", "recalled", "availability"}
_ELSEWHERE = {"study_uid", "revision", "instances", "journal"}  # in the node's answer


def document(
    work: Work,
    manifest: Manifest,
    member: str,
    brought: Iterable[Instance],
    already: Held,
) -> dict[str, Any]:
    """Return the manifest of a member that brings some of a study's files.

    `already` are those that other members of the vault hold.
    """
    keys = {instance.key for instance in brought}
    facts = {name: value for name, value in manifest.raw.items() if name not in _ELSEWHERE}
    return {
        "format": volume.FORMAT,
        "node": work.node,
        "study_uid": work.study_uid,
        "member": member,
        "revision": manifest.revision,
        "written_at": timezone.now().isoformat(),
        "study": facts | {"instances": len(manifest.instances)},
        "instances": _brought(manifest.raw["instances"], manifest.instances, keys),
        "quarantine": _brought(manifest.raw.get("quarantine") or [], manifest.quarantined, keys),
        "elsewhere": [_elsewhere(row) for row in already.values()],
        "lacking": [
            {"sop_instance_uid": one.sop_instance_uid, "stored_sha256": one.stored_sha256}
            for one in manifest.files
            if one.key not in keys and one.key not in already
        ],
        "journal": manifest.raw.get("journal", []),
    }


def _brought(
    told: Iterable[Mapping[str, Any]], files: Iterable[Instance], keys: Set[Key]
) -> list[dict[str, Any]]:
    """Return what the node told of the files that a member brings, in their order."""
    by_key = {(_uid(one), one["stored_sha256"]): one for one in told}
    found = []
    for file in files:
        if file.key in keys:
            said = {name: value for name, value in by_key[file.key].items() if name != "uid"}
            told_path = {"sop_instance_uid": file.sop_instance_uid, "path": file.item.path}
            found.append(said | told_path)
    return found


def _uid(told: Mapping[str, Any]) -> str:
    return told["uid"] if "uid" in told else told["sop_instance_uid"]


def telling_records(of: Mapping[str, Any]) -> int:
    """Return how many of the node's records call for a copy, by an answer or a manifest."""
    kinds = [str(record.get("kind")) for record in of.get("journal", [])]
    return sum(kind not in _OF_ITS_OWN for kind in kinds)


def written_at(about: dict[str, Any]) -> datetime:
    """Return when a member was written, by its manifest (old ones do not say: now)."""
    said = about.get("written_at")
    return datetime.fromisoformat(said) if said else timezone.now()


def _elsewhere(row: CopiedInstance) -> dict[str, Any]:
    where = {
        "sop_instance_uid": row.sop_instance_uid,
        "stored_sha256": row.stored_sha256,
        "volume": row.copy.volume,
        "member": row.copy.member,
        "revision": row.copy.revision,
    }
    if row.quarantined:  # an instance's name follows from its UID
        where["path"] = volume.path_of(row.sop_instance_uid, row.stored_sha256, quarantined=True)
    return where
