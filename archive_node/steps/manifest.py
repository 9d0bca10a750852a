"""A study's manifest as its node gives it, checked before any of it becomes a path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from archive_node.models import CopiedInstance
from archive_node.steps.work import Work
from archive_node.vault.volume import Item
from pacs_common import errors
from pacs_common.uids import Uid

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Instance:
    """One file of a study at its node; digests are None until the node has computed them.

    `quarantined_as` is the `received_sha256` of one that lies in quarantine: its UID is shared.
    """

    sop_instance_uid: str
    stored_sha256: str | None
    size_bytes: int
    arrived_at: datetime
    availability: str
    quarantined_as: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Return what makes its bytes the same bytes."""
        return (self.sop_instance_uid, self.stored_sha256 or "")

    @property
    def item(self) -> Item:
        """Return it as an item of a member."""
        arrived_at = int(self.arrived_at.timestamp())
        return Item(*self.key, self.size_bytes, arrived_at, bool(self.quarantined_as))


@dataclass(frozen=True)
class Manifest:
    """A study's facts and files at one moment; `raw` is the node's answer as it came."""

    revision: int
    recalls: int
    digests_ready: bool
    instances: list[Instance]
    quarantined: list[Instance]
    raw: dict[str, Any]

    @property
    def files(self) -> list[Instance]:
        """Return all that is to be archived: the instances, then what lies in quarantine."""
        return [*self.instances, *self.quarantined]

    def digest_of(self, row: CopiedInstance) -> str | None:
        """Return the digest that the node keeps of a copied file, None where it does not say.

        Of an instance that gave way to another since, it says it where that lies now.
        """
        if row.quarantined or (row.sop_instance_uid, row.stored_sha256) in self._keys:
            return row.stored_sha256
        return self._digests.get(row.sop_instance_uid)

    @cached_property
    def _keys(self) -> set[tuple[str, str]]:
        return {one.key for one in self.files}

    @cached_property
    def _digests(self) -> dict[str, str | None]:
        return {one.sop_instance_uid: one.stored_sha256 for one in self.instances}


def fetch(work: Work) -> Manifest:
    """Ask the node for the study's manifest; raises PeerUnreachable where it makes no sense."""
    raw = work.client.manifest(work.study_uid)
    try:
        named = [entry["sop_instance_uid"] for entry in raw["instances"]]
        if len(named) != len(set(named)):
            raise ValueError("an instance is named twice")
        instances = [_instance(entry) for entry in raw["instances"]]
        return Manifest(
            revision=int(raw["revision"]),
            recalls=int(raw["recalls"]),
            digests_ready=bool(raw["digests_ready"]),
            instances=instances,
            quarantined=_quarantined(raw, {one.key for one in instances}),
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


def _quarantined(raw: dict[str, Any], stored: set[tuple[str, str]]) -> list[Instance]:
    """Return what lies in quarantine, each file once (an older node does not say)."""
    found: dict[tuple[str, str], Instance] = {}
    for entry in raw.get("quarantine") or []:
        one = Instance(
            sop_instance_uid=Uid.parse(entry["uid"], "SOP Instance UID"),
            stored_sha256=_sha256(entry["stored_sha256"]),
            size_bytes=int(entry["size_bytes"]),
            arrived_at=datetime.fromisoformat(entry["arrived_at"]),
            availability="ONLINE",
            quarantined_as=_sha256(entry["received_sha256"]),
        )
        if one.key not in stored:
            found.setdefault(one.key, one)
    return list(found.values())


def _sha256(told: str) -> str:
    """Return a digest that may name a file; raises ValueError."""
    if not _SHA256.match(told):
        raise ValueError(f"{told[:80]!r} is no SHA-256")
    return told
