"""What a node offers about corrections of a patient's identity (docs/interfaces.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pacs_common.node_client.connection import NodeConnection


class Corrections(NodeConnection):
    """The node's corrections, undone ones too."""

    def corrections(self, study_uid: str) -> dict[str, Any]:
        """Return what a study shows and how it was corrected, the newest correction first."""
        token = self._ticket("corrections.read", study=study_uid)
        return self.http.json("GET", "/api/corrections", params={"study": study_uid}, token=token)

    def correct(self, asked: Mapping[str, Any], *, preview: bool = False) -> dict[str, Any]:
        """Correct `asked["study_uid"]`, or try it: {"correction": {...}, "received": [...]}.

        Asked again with the same id, it is the same correction. Raises BadInput, Conflict.
        """
        token = self._ticket("corrections.write", study=asked["study_uid"])
        body = {**asked, "preview": preview}
        return self.http.json("POST", "/api/corrections", body=body, token=token)

    def undo_correction(self, correction_id: str) -> dict[str, Any]:
        """Undo a correction; raises Conflict where a later one is in force."""
        token = self._ticket("corrections.write")
        return self.http.json("POST", f"{_address(correction_id)}/undo", token=token)

    def correction_received(self, correction_id: str) -> list[dict[str, Any]]:
        """Return who was sent the study as it was before a correction, or before its undoing."""
        token = self._ticket("corrections.read")
        answer = self.http.json("GET", f"{_address(correction_id)}/received", token=token)
        return answer["received"]

    def resend_corrected(self, correction_id: str, destinations: Sequence[str]) -> dict[str, int]:
        """Queue a study as it is shown now for destinations; return how many instances for each."""
        token = self._ticket("corrections.write")
        body = {"destinations": list(destinations)}
        address = f"{_address(correction_id)}/resend"
        return self.http.json("POST", address, body=body, token=token)["queued"]


def _address(correction_id: str) -> str:
    return f"/api/corrections/{quote(correction_id, safe='')}"
