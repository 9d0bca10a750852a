"""A study's manifest as its node gives it, checked before any of it becomes a path."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archive_node.steps.work import Work
from archive_node.vault.volume import Item
from pacs_common import errors
from pacs_common.uids import Uid


@dataclass(frozen=True)
class Instance:
    """One instance of a study at its node; digests are None until the node has computed them."""

    sop_instance_uid: str
    stored_sha256: str | None
    size_bytes: int
    arrived_at: datetime
    availability: str

    @property
    def key(self) -> tuple[str, str]:
        """Return what makes its bytes the same bytes."""
        return (self.sop_instance_uid, self.stored_sha256 or "")

    @property
    def item(self) -> Item:
        """Return it as an item of a member."""
        return Item(*self.key, self.size_bytes, int(self.arrived_at.timestamp()))


@dataclass(frozen=True)
class Manifest:
    """A study's facts and instances at one moment; `raw` is the node's answer as it came."""

    revision: int
    recalls: int
    digests_ready: bool
    instances: list[Instance]
    raw: dict[str, Any]

    @property
    def entries(self) -> list[tuple[dict[str, Any], Instance]]:
        """Return each instance as the node described it, and as it was read."""
        return list(zip(self.raw["instances"], self.instances, strict=True))


def fetch(work: Work) -> Manifest:
    """Ask the node for the study's manifest; raises PeerUnreachable where it makes no sense."""
    raw = work.client.manifest(work.study_uid)
    try:
        named = [entry["sop_instance_uid"] for entry in raw["instances"]]
        if len(named) != len(set(named)):
            raise ValueError("an instance is named twice")
        return Manifest(
            revision=int(raw["revision"]),
            recalls=int(raw["recalls"]),
            digests_ready=bool(raw["digests_ready"]),
            instances=[_instance(entry) for entry in raw["instances"]],
            raw=raw,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise errors.PeerUnreachable(
            f"{work.node} described {work.study_uid} in a way that cannot be read: {error!r}"
        ) from None


def _instance(entry: dict[str, Any]) -> Instance:
    return Instance(
        sop_instance_uid=Uid.parse(entry["sop_instance_uid"], "SOP Instance UID"),
        stored_sha256=entry["stored_sha256"] or None,
        size_bytes=int(entry["size_bytes"]),
        arrived_at=datetime.fromisoformat(entry["arrived_at"]),
        availability=entry["availability"],
    )
