"""Who may call a node by DICOM, who was not let in, and who did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pacs_common.node_client.connection import NodeConnection


class Access(NodeConnection):
    """The node's peers, its rejected callers, and its audit."""

    def peers(self) -> dict[str, Any]:
        """Return every known DICOM peer: {"peers": [...], "problem": ""}."""
        return self.http.json("GET", "/api/peers", token=self._ticket("peers.read"))

    def put_peer(self, peer: Mapping[str, Any]) -> dict[str, Any]:
        """Add or replace the peer that bears `peer["ae_title"]`, and return it."""
        address = _peer(str(peer["ae_title"]))
        token = self._ticket("peers.write")
        return self.http.json("PUT", address, body=peer, token=token)["peer"]

    def delete_peer(self, ae_title: str) -> None:
        """Remove a peer; raises NotFound, or Conflict where a setting of the node names it."""
        self.http.json("DELETE", _peer(ae_title), token=self._ticket("peers.write"))

    def rejected_callers(self) -> list[dict[str, Any]]:
        """Return the DICOM callers that the node did not let in, the latest first."""
        answer = self.http.json("GET", "/api/rejected-callers", token=self._ticket("peers.read"))
        return answer["callers"]

    def approve_caller(self, caller_id: int, may: Sequence[str] | None = None) -> dict[str, Any]:
        """Let a rejected caller in from now on; `may` is needed for an unknown AE title."""
        address = f"/api/rejected-callers/{int(caller_id)}/approve"
        body = {} if may is None else {"may": list(may)}
        return self.http.json("POST", address, body=body, token=self._ticket("peers.write"))["peer"]

    def forget_caller(self, caller_id: int) -> None:
        """Forget a rejected caller until it calls again."""
        address = f"/api/rejected-callers/{int(caller_id)}"
        self.http.json("DELETE", address, token=self._ticket("peers.write"))

    def audit(
        self, *, since: str = "", kind: str = "", limit: int = 100, before: str = ""
    ) -> dict[str, Any]:
        """Return one page of the node's audit, newest first: {"records": [...], "next": ...}."""
        return self.http.json(
            "GET",
            "/api/audit",
            params={"since": since, "kind": kind, "limit": limit, "before": before},
            token=self._ticket("audit.read"),
        )

    def audit_lines(self, after: str = "", limit: int = 500) -> dict[str, Any]:
        """Return what stands in the node's audit after a cursor, oldest first.

        {"records": [...], "next": cursor, "more": whether some wait}; each record has its "key".
        """
        return self.http.json(
            "GET",
            "/api/audit/lines",
            params={"after": after, "limit": limit},
            token=self._ticket("audit.read"),
        )


def _peer(ae_title: str) -> str:
    return f"/api/peers/{quote(ae_title, safe='')}"
