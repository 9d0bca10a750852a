"""What arrived at a node, what did not, and what somebody must decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx

from pacs_common.node_client.connection import NodeConnection
from pacs_common.uids import Uid


class Arrivals(NodeConnection):
    """The node as the technologists see it."""

    def arrivals(self, **chosen: str | int) -> dict[str, Any]:
        """Return what arrived, the latest first; `chosen` are hours, modality, source, limit."""
        token = self._ticket("arrivals.read")
        return self.http.json("GET", "/api/arrivals", params=chosen, token=token)

    def doubtful(self, **chosen: str | int) -> dict[str, Any]:
        """Return the latest exams of nobody or of a patient new there; `chosen`: hours, limit."""
        token = self._ticket("arrivals.read")
        return self.http.json("GET", "/api/arrivals/doubtful", params=chosen, token=token)

    def known_before(self, patients: Sequence[Mapping[str, str]]) -> list[bool]:
        """Return of each {issuer, id, study_uid, before} whether the patient was there before."""
        body = {"patients": list(patients)}
        token = self._ticket("arrivals.read")
        return self.http.json("POST", "/api/arrivals/known", body=body, token=token)["known"]

    def transfers(self, **chosen: str | int) -> dict[str, Any]:
        """Return the associations that brought objects; `chosen` are troubled, source, limit."""
        token = self._ticket("arrivals.read")
        return self.http.json("GET", "/api/transfers", params=chosen, token=token)

    def quarantine(self, *, decided: bool = False, limit: int = 200) -> dict[str, Any]:
        """Return what waits for a decision, or what was decided: {"quarantined", "waiting"}."""
        asked = {"decided": int(decided), "limit": limit}
        token = self._ticket("arrivals.read")
        return self.http.json("GET", "/api/quarantine", params=asked, token=token)

    def quarantined(self, row_id: int) -> dict[str, Any]:
        """Return one quarantined object beside what is stored."""
        token = self._ticket("arrivals.read")
        return self.http.json("GET", f"/api/quarantine/{int(row_id)}", token=token)

    def quarantined_picture(self, row_id: int) -> AbstractContextManager[httpx.Response]:
        """Open the picture of a quarantined image; a refusal raises."""
        address = f"/api/quarantine/{int(row_id)}/picture"
        return self.http.stream("GET", address, token=self._ticket("arrivals.read"))

    def decide(self, row_id: int, verb: str, comment: str = "") -> dict[str, Any]:
        """Decide about a quarantined object: `verb` is "keep", "take" or "undo"."""
        address = f"/api/quarantine/{int(row_id)}/{verb}"
        token = self._ticket("quarantine.decide")
        return self.http.json("POST", address, body={"comment": comment}, token=token)

    def rejections(self, *, due: bool = False, limit: int = 200) -> dict[str, Any]:
        """Return what is hidden and what was, the latest first: {"rejections": [...]}."""
        asked = {"limit": limit, **({"due": 1} if due else {})}
        token = self._ticket("rejections.read")
        return self.http.json("GET", "/api/rejections", params=asked, token=token)

    def rejection(self, note_uid: str) -> dict[str, Any]:
        """Return a rejection with what its removal would do, and the copies that prove it."""
        address = f"/api/rejections/{Uid.parse(note_uid)}"
        return self.http.json("GET", address, token=self._ticket("rejections.read"))

    def undo_rejection(self, note_uid: str) -> dict[str, Any]:
        """Bring back what a rejection hides; raises Conflict where some of it was removed."""
        address = f"/api/rejections/{Uid.parse(note_uid)}/undo"
        return self.http.json("POST", address, body={}, token=self._ticket("dicomweb.delete"))

    def approve_removal(self, note_uid: str) -> dict[str, Any]:
        """Remove what the archive holds of a rejection that is due: {"removed", "kept"}."""
        address = f"/api/rejections/{Uid.parse(note_uid)}/approve"
        return self.http.json("POST", address, body={}, token=self._ticket("rejections.approve"))
