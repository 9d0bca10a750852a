"""What a node sends on to other peers, and what it asks them to commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pacs_common.node_client.connection import NodeConnection


class Forwarding(NodeConnection):
    """The node as a sender: its queue, its rules, its commitment requests."""

    def forwarding(self, **chosen: str | int) -> dict[str, Any]:
        """Return what is on its way; `chosen` are state, destination, study and limit."""
        token = self._ticket("forwarding.read")
        return self.http.json("GET", "/api/forwarding", params=chosen, token=token)

    def forward(self, destination: str, study_uid: str, **how: Any) -> int:
        """Send a study to a destination and return how many instances were queued."""
        body = {"destination": destination, "study_uid": study_uid, **how}
        token = self._ticket("forwarding.write", study=study_uid)
        return self.http.json("POST", "/api/forwarding", body=body, token=token)["queued"]

    def resend(self, **chosen: str) -> int:
        """Send again what is settled of a destination, a study_uid, a state; return how many."""
        token = self._ticket("forwarding.write")
        return self.http.json("POST", "/api/forwarding/resend", body=chosen, token=token)["queued"]

    def cancel_forwarding(self, **chosen: str) -> int:
        """Take out what waits of a destination, a study_uid; return how many."""
        token = self._ticket("forwarding.write")
        answer = self.http.json("POST", "/api/forwarding/cancel", body=chosen, token=token)
        return answer["cancelled"]

    def forwarding_rules(self) -> dict[str, Any]:
        """Return the forwarding rules: {"rules": [...], "time_zone": "..."}."""
        token = self._ticket("forwarding.read")
        return self.http.json("GET", "/api/forwarding/rules", token=token)

    def put_forwarding_rules(self, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Put rules in force; raises BadInput with the rule and what is wrong with it."""
        token = self._ticket("forwarding.write")
        body = {"rules": list(rules)}
        return self.http.json("PUT", "/api/forwarding/rules", body=body, token=token)

    def commitments(self, **chosen: str | int) -> list[dict[str, Any]]:
        """Return storage commitment requests; `chosen` are state, peer, side and limit."""
        token = self._ticket("forwarding.read")
        return self.http.json("GET", "/api/commitments", params=chosen, token=token)["requests"]

    def ask_commitment(self, peer_ae: str, study_uid: str) -> dict[str, Any]:
        """Let the node ask a peer to commit a study, and return the request."""
        body = {"peer_ae": peer_ae, "study_uid": study_uid}
        token = self._ticket("forwarding.write", study=study_uid)
        return self.http.json("POST", "/api/commitments", body=body, token=token)
