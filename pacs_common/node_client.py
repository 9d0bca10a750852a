"""What a node offers over HTTP, as methods: used by the portal and the archive.

The shapes are those of `docs/interfaces.md`; every call raises the errors of
`pacs_common.errors` (PeerUnreachable where the node does not answer). A UID that is unsafe in an
address raises UnsafeUid, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import httpx

from pacs_common.http import HttpClient, Received
from pacs_common.tickets import TicketIssuer
from pacs_common.uids import Uid


class NodeClient:
    """Speaks to the node `name` at `base_url` with tickets of `issuer`, on behalf of `subject`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        issuer: TicketIssuer,
        *,
        subject: str,
        connect_s: float = 2.0,
        read_s: float = 30.0,
        retries: int = 0,
    ) -> None:
        self.name = name
        self.subject = subject
        self.http = HttpClient(
            base_url, name=name, connect_s=connect_s, read_s=read_s, retries=retries
        )
        self._issuer = issuer

    def status(self) -> dict[str, Any]:
        """Return the node's own account: name, AE title, disk, counts, last arrival."""
        return self.http.json("GET", "/api/node", token=self._ticket("status"))

    def qido(self, path: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the DICOM JSON answers of `/dicom-web/<path>` ([] for none)."""
        answer = self.http.json(
            "GET",
            f"/dicom-web/{path}",
            params=params,
            headers={"Accept": "application/dicom+json"},
            token=self._ticket("dicomweb"),
        )
        return answer or []

    def dicomweb(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        passing: bool = True,
    ) -> AbstractContextManager[httpx.Response]:
        """Open `/dicom-web/<path>` as a stream whose status and headers can be passed on."""
        return self.http.stream(
            "GET",
            f"/dicom-web/{path}",
            params=params,
            headers=headers,
            token=self._ticket("dicomweb"),
            passing=passing,
        )

    def header(self, sop_uid: str) -> dict[str, Any]:
        """Return every element of an instance's header: see docs/interfaces.md."""
        return self.http.json(
            "GET", f"/api/instances/{Uid.parse(sop_uid)}/header", token=self._ticket("dicomweb")
        )

    def custody_studies(self, *, after: str = "", limit: int = 500) -> dict[str, Any]:
        """Return one page of study facts, ordered by UID: {"studies": [...], "next": uid|null}."""
        return self.http.json(
            "GET",
            "/api/custody/studies",
            params={"after": after, "limit": limit},
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

    def _ticket(self, scope: str, *, study: str | None = None, plan: str | None = None) -> str:
        return self._issuer.issue(self.name, [scope], subject=self.subject, study=study, plan=plan)


def _study(uid: str) -> str:
    return f"/api/custody/studies/{Uid.parse(uid)}"
