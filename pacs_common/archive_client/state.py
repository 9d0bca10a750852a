"""The archive's own account of itself."""

from __future__ import annotations

from typing import Any

from pacs_common.archive_client.connection import ArchiveConnection


class State(ArchiveConnection):
    """The archive as IT sees it."""

    def status(self) -> dict[str, Any]:
        """Return vaults, job counts, nodes as last seen, and the policy in force."""
        return self._read("/api/status")

    def growth(self, days: int = 30) -> dict[str, Any]:
        """Return bytes written to each vault and each node's disk, a row a day."""
        return self._read("/api/growth", days=days)

    def acts(self, **page: int) -> list[dict[str, Any]]:
        """Return what operators did, newest first."""
        return self._read("/api/acts", **page)["acts"]

    def audit_lines(self, after: str = "", limit: int = 500) -> dict[str, Any]:
        """Return what stands in the archive's audit after a cursor, oldest first, as nodes do."""
        params = {"after": after, "limit": str(limit)}
        return self._call("GET", "/api/audit/lines", "audit.read", params=params)

    def log(self, **asked: str | int) -> list[dict[str, Any]]:
        """Return the newest lines of the archive's log; `asked` are level, words and limit."""
        params = {name: str(value) for name, value in asked.items()}
        return self._call("GET", "/api/log", "log.read", params=params)["lines"]
