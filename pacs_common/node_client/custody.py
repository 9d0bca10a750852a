"""What a node offers to the archive: facts, files, eviction, recall, receipts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pacs_common.http import Received
from pacs_common.node_client.connection import NodeConnection
from pacs_common.node_client.stored_files import StoredFile, unpacked
from pacs_common.uids import Uid


class Custody(NodeConnection):
    """The node as the keeper of its files."""

    def custody_studies(
        self, *, after: str = "", limit: int = 500, since: str = ""
    ) -> dict[str, Any]:
        """Return one page of study facts: {"studies": [...], "next": cursor|null, "now": "..."}.

        `since` leaves those that changed from that moment on: the `now` of the answer before.
        """
        asked: dict[str, str | int] = {"after": after, "limit": limit}
        return self.http.json(
            "GET",
            "/api/custody/studies",
            params=asked | ({"since": since} if since else {}),
            token=self._ticket("custody.read"),
        )

    def manifest(self, study_uid: str) -> dict[str, Any]:
        """Return a study's instances with sizes and digests, and its journal records."""
        return self.http.json(
            "GET",
            _study(study_uid),
            token=self._ticket("custody.read", study=study_uid),
        )

    def fetch(self, study_uid: str, sop_uid: str, target: Path) -> Received:
        """Stream one stored file, byte for byte, into `target`."""
        return self.http.download(
            f"{_study(study_uid)}/instances/{Uid.parse(sop_uid)}",
            target,
            token=self._ticket("custody.read", study=study_uid),
        )

    def streamed(self, study_uid: str, sop_uid: str) -> Iterator[bytes]:
        """Yield one stored file, byte for byte, as it comes; to be closed by who stops early.

        Raises PeerUnreachable where it breaks off: what came is then not the whole file.
        """
        return self.http.body(
            f"{_study(study_uid)}/instances/{Uid.parse(sop_uid)}",
            token=self._ticket("custody.read", study=study_uid),
        )

    def files(self, study_uid: str, sop_uids: Sequence[str]) -> Iterator[tuple[str, StoredFile]]:
        """Yield several stored files from one answer, each with its SOP Instance UID, in order.

        One is read before the next is asked for; FILES_AT_ONCE fit into an address. Raises as
        `streamed`, and NotFound where the node knows no such address.
        """
        tar = self.http.body(
            f"{_study(study_uid)}/files",
            params={"instances": ",".join(Uid.parse(uid) for uid in sop_uids)},
            token=self._ticket("custody.read", study=study_uid),
        )
        return unpacked(tar, self.name)

    def put_back(self, study_uid: str, sop_uid: str, source: IO[bytes], size_bytes: int) -> Any:
        """Recall one instance: the node checks the bytes against its `stored_sha256`."""
        return self.http.put_file(
            f"{_study(study_uid)}/instances/{Uid.parse(sop_uid)}",
            source,
            size_bytes,
            token=self._ticket("custody.recall", study=study_uid),
        )

    def evict(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the node to delete what `plan` names; the node decides, by its own digests."""
        token = self._ticket("custody.evict", study=plan["study_uid"], plan=plan["plan_id"])
        return self.http.json("POST", "/api/custody/evictions", body=plan, token=token)

    def recall_requests(self) -> list[dict[str, Any]]:
        """Return the studies that a C-MOVE, C-GET or WADO-RS asked for while they were away."""
        answer = self.http.json(
            "GET", "/api/custody/recall-requests", token=self._ticket("custody.read")
        )
        return answer["requests"]

    def receipts(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Tell the node of verified copies of a study: {"taken": [...], "refused": [...]}."""
        token = self._ticket("custody.receipt", study=told["study_uid"])
        return self.http.json("POST", "/api/custody/receipts", body=told, token=token)


def _study(uid: str) -> str:
    return f"/api/custody/studies/{Uid.parse(uid)}"
