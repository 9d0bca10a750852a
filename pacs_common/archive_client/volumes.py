"""The archive's volumes, and those that somebody must put in."""

from __future__ import annotations

from typing import Any

from pacs_common.archive_client.connection import ArchiveConnection, part
from pacs_common.uids import Uid


class Volumes(ArchiveConnection):
    """The archive as a shelf of volumes."""

    def volumes(self) -> list[dict[str, Any]]:
        """Return the volumes, by vault and label."""
        return self.volumes_and_missing()["volumes"]

    def volumes_and_missing(self) -> dict[str, Any]:
        """Return the volumes, and why vaults do not answer: {"volumes": [], "missing": {}}."""
        return self._read("/api/volumes")

    def volume(self, vault: str, label: str, **page: int) -> dict[str, Any]:
        """Return a volume and a part of its copies: {"volume": {}, "copies": [], "total": 0}."""
        return self._read(_address(vault, label), **page)

    def act_on_volume(self, vault: str, label: str, action: str) -> dict[str, Any]:
        """Suspect, trust, shelve or retire a volume ({"volume": {}}).

        "scrub" and "evacuate" are jobs ({"job": {}}). Raises Conflict where its state, or a good
        copy that lies on it alone, does not allow it.
        """
        return self._operate("POST", f"{_address(vault, label)}/{part(action)}")

    def insert_volume(
        self, vault: str, label: str, barcode: str, drive: int | None = None
    ) -> dict[str, Any]:
        """Take a volume back from the shelf; raises Conflict where another one was inserted."""
        told = {"barcode": barcode, "drive": drive}
        return self._operate("POST", f"{_address(vault, label)}/insert", told)["volume"]

    def mount_requests(self) -> list[dict[str, Any]]:
        """Return the volumes that jobs wait for, the longest asked first."""
        return self._read("/api/mount-requests")["requests"]

    def confirm_mount(
        self, request_id: int, barcode: str, drive: int | None = None
    ) -> dict[str, Any]:
        """Say that a volume was inserted: {"request": {}, "jobs": how many go on}.

        Raises Conflict where it is another one.
        """
        told = {"barcode": barcode, "drive": drive}
        return self._operate("POST", f"/api/mount-requests/{request_id}/confirm", told)

    def study(self, study_uid: str) -> dict[str, Any]:
        """Return a study's copies, holds and jobs (empty lists where it has none)."""
        return self._read(f"/api/studies/{Uid.parse(study_uid)}")


def _address(vault: str, label: str) -> str:
    return f"/api/volumes/{part(vault)}/{part(label)}"
