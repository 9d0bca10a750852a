"""What the archive tells a node to keep, and gives back to it after a disaster."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from pacs_common.http import Received
from pacs_common.node_client.connection import NodeConnection
from pacs_common.uids import Uid


class Keeping(NodeConnection):
    """The node as the archive's own charge: holds, shelves, space, and its refilling."""

    def set_holds(self, study_uid: str, holds: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Tell the node all holds of a study: [{"kind", "reason", "by"}]; [] releases it."""
        told = {"holds": [dict(one) for one in holds]}
        return self._put_json(study_uid, "holds", told, "custody.hold")

    def set_availability(
        self, study_uid: str, availability: str, instances: Iterable[str] | None = None
    ) -> dict[str, Any]:
        """Tell the node whether evicted instances (all: None) are NEARLINE or OFFLINE."""
        told: dict[str, Any] = {"availability": availability}
        if instances is not None:
            told["instances"] = list(instances)
        return self._put_json(study_uid, "availability", told, "custody.availability")

    def reserve(self, study_uid: str, size_bytes: int) -> dict[str, Any]:
        """Reserve space for a recall, for an hour; raises DiskFull where it does not fit."""
        return self.http.json(
            "POST",
            "/api/custody/reservations",
            body={"study_uid": study_uid, "bytes": size_bytes},
            token=self._ticket("custody.recall", study=study_uid),
        )

    def restore(
        self,
        study_uid: str,
        sop_uid: str,
        source: IO[bytes],
        size_bytes: int,
        stored_sha256: str,
        *,
        copies: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Give an instance to a node that lost it: the exact file, proven while it streams.

        With its verified `copies` it is kept as after an eviction: its stub alone, NEARLINE.
        """
        headers = {"X-Stored-SHA256": stored_sha256}
        if copies is not None:
            headers["X-Evicted-To"] = json.dumps([dict(copy) for copy in copies])
        return self.http.put_file(
            f"{_restored(study_uid)}/{Uid.parse(sop_uid)}",
            source,
            size_bytes,
            token=self._ticket("custody.restore", study=study_uid),
            headers=headers,
        )

    def restore_journal(
        self, study_uid: str, records: Sequence[Mapping[str, Any]], *, revision: int = 0
    ) -> dict[str, Any]:
        """Give a node the records of a study that it lost, before its files; once is enough.

        `revision` is the one that is proven in the archive: the study's becomes no lower.
        """
        return self.http.json(
            "POST",
            f"{_restored(study_uid)}/journal",
            body={"records": [dict(one) for one in records], "revision": revision},
            token=self._ticket("custody.restore", study=study_uid),
        )

    def end_take_over(self, take_over_id: str, missing: int) -> dict[str, Any]:
        """Tell a node that took the place of a lost one that it has all that there is again.

        `missing` counts the studies of which no good copy could be read. Once is enough.
        """
        return self.http.json(
            "POST",
            f"/api/custody/take-over/{quote(take_over_id, safe='')}/end",
            body={"missing": missing},
            token=self._ticket("custody.restore"),
        )

    def restore_quarantined(
        self,
        study_uid: str,
        sop_uid: str,
        source: IO[bytes],
        size_bytes: int,
        stored_sha256: str,
        *,
        reason: str,
        detail: str = "",
    ) -> dict[str, Any]:
        """Give an object that lay in quarantine to a node that lost it, with why it lay there."""
        headers = {
            "X-Stored-SHA256": stored_sha256,
            "X-Quarantined-For": json.dumps({"reason": reason, "detail": detail}),
        }
        return self.http.put_file(
            f"{_restored(study_uid)}/quarantine/{Uid.parse(sop_uid)}",
            source,
            size_bytes,
            token=self._ticket("custody.restore", study=study_uid),
            headers=headers,
        )

    def fetch_quarantined(
        self, study_uid: str, sop_uid: str, received_sha256: str, target: Path
    ) -> Received:
        """Stream one quarantined file of a study, byte for byte, into `target`."""
        return self.http.download(
            f"/api/custody/quarantine/{Uid.parse(sop_uid)}/{received_sha256}",
            target,
            token=self._ticket("custody.read", study=study_uid),
        )

    def _put_json(
        self, study_uid: str, what: str, told: Mapping[str, Any], scope: str
    ) -> dict[str, Any]:
        return self.http.json(
            "PUT",
            f"/api/custody/studies/{Uid.parse(study_uid)}/{what}",
            body=told,
            token=self._ticket(scope, study=study_uid),
        )


def _restored(study_uid: str) -> str:
    return f"/api/custody/restore/{Uid.parse(study_uid)}"
