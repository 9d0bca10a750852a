"""The node as SCU: what it asks other DICOM peers, for those who speak no DIMSE."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pacs_common.http import described, guarded
from pacs_common.node_client.connection import NodeConnection

# A DICOM peer by the AE title that the node knows, or {"ae_title", "host", "port", "calling"}.
DicomPeer = str | Mapping[str, Any]


class Scu(NodeConnection):
    """The node as one who asks: echo, find, move, get, send."""

    def scu_echo(self, peer: DicomPeer) -> dict[str, Any]:
        """Let the node C-ECHO a peer; raises PeerUnreachable or PeerFailed with its reason."""
        return self._scu("echo", peer, {})

    def scu_find(
        self, peer: DicomPeer, level: str, keys: Mapping[str, str], *, limit: int = 200
    ) -> dict[str, Any]:
        """Let the node query a peer: {"answers": [DICOM JSON], "complete": true}."""
        return self._scu("find", peer, {"level": level, "keys": dict(keys), "limit": limit})

    def scu_move(
        self, peer: DicomPeer, level: str, uids: Mapping[str, Any], destination: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Let a peer send instances to `destination` (the node itself): yield its progress."""
        body = {"level": level, "uids": dict(uids), "destination": destination}
        return self._scu_progress("move", peer, body)

    def scu_get(
        self, peer: DicomPeer, level: str, uids: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Let the node take instances from a peer by C-GET: yield its progress."""
        return self._scu_progress("get", peer, {"level": level, "uids": dict(uids)})

    def scu_send(self, destination: str, **what: Any) -> dict[str, Any]:
        """Queue `study_uid`, `series_uid` or `instances` of the node for a destination."""
        token = self._ticket("scu", study=what.get("study_uid"))
        body = {"destination": destination, **what}
        return self.http.json("POST", "/api/scu/send", body=body, token=token)

    def _scu(self, operation: str, peer: DicomPeer, body: dict[str, Any]) -> dict[str, Any]:
        token, named = self._scu_peer(peer)
        return self.http.json(
            "POST",
            f"/api/scu/{operation}",
            body=named | body,
            token=token,
            read_s=self._scu_read_s,
        )

    def _scu_progress(
        self, operation: str, peer: DicomPeer, body: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        token, named = self._scu_peer(peer)
        path = f"/api/scu/{operation}"
        with self.http.stream(
            "POST", path, token=token, body=named | body, read_s=self._scu_read_s
        ) as answer:
            for line in guarded(answer.iter_lines(), self.name):
                told = json.loads(line)
                if "error" in told:
                    raise described(told["error"], self.name)
                yield told

    def _scu_peer(self, peer: DicomPeer) -> tuple[str, dict[str, Any]]:
        """Return a ticket for this peer, and how a body names it."""
        if isinstance(peer, str):
            return self._ticket("scu"), {"peer": peer}
        scopes = ["scu", "scu.address"]
        return self._issuer.issue(self.name, scopes, subject=self.subject), dict(peer)
