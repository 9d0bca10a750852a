"""What the archive offers over HTTP, as methods: used by the portal.

The shapes are those of `docs/interfaces.md`; errors as in `node_client`.
"""

from __future__ import annotations

from typing import Any

from pacs_common.http import HttpClient
from pacs_common.tickets import TicketIssuer
from pacs_common.uids import Uid

AUDIENCE = "archive"


class ArchiveClient:
    """Speaks to the archive at `base_url` with tickets of `issuer`, on behalf of `subject`."""

    def __init__(
        self,
        base_url: str,
        issuer: TicketIssuer,
        *,
        subject: str,
        connect_s: float = 2.0,
        read_s: float = 10.0,
    ) -> None:
        self.subject = subject
        self.http = HttpClient(base_url, name="the archive", connect_s=connect_s, read_s=read_s)
        self._issuer = issuer

    def status(self) -> dict[str, Any]:
        """Return vaults, job counts, nodes as last seen, and the policy in force."""
        return self._call("GET", "/api/status", "archive.read")

    def jobs(self, **filters: str) -> list[dict[str, Any]]:
        """Return jobs, newest first; filters: state, kind, study, limit."""
        return self._call("GET", "/api/jobs", "archive.read", params=filters)["jobs"]

    def volumes(self) -> list[dict[str, Any]]:
        """Return the volumes, by label."""
        return self._call("GET", "/api/volumes", "archive.read")["volumes"]

    def study(self, study_uid: str) -> dict[str, Any]:
        """Return a study's copies and jobs ({"copies": [], "jobs": []} where it has none)."""
        return self._call("GET", f"/api/studies/{Uid.parse(study_uid)}", "archive.read")

    def request_job(self, kind: str, node: str, study_uid: str) -> dict[str, Any]:
        """Ask for "copy", "evict" or "recall" of a study; an open job of the kind is returned."""
        body = {"kind": kind, "node": node, "study_uid": study_uid, "requested_by": self.subject}
        scope = "archive.recall" if kind == "recall" else "archive.operate"
        return self._call("POST", "/api/jobs", scope, body=body)["job"]

    def retry_job(self, job_id: int) -> dict[str, Any]:
        """Queue a failed job again."""
        return self._call("POST", f"/api/jobs/{job_id}/retry", "archive.operate")["job"]

    def audit_lines(self, after: str = "", limit: int = 500) -> dict[str, Any]:
        """Return what stands in the archive's audit after a cursor, oldest first, as nodes do."""
        params = {"after": after, "limit": str(limit)}
        return self._call("GET", "/api/audit/lines", "audit.read", params=params)

    def log(self, **asked: str | int) -> list[dict[str, Any]]:
        """Return the newest lines of the archive's log; `asked` are level, words and limit."""
        params = {name: str(value) for name, value in asked.items()}
        return self._call("GET", "/api/log", "log.read", params=params)["lines"]

    def _call(
        self,
        method: str,
        path: str,
        scope: str,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
    ) -> Any:
        token = self._issuer.issue(AUDIENCE, [scope], subject=self.subject)
        return self.http.json(method, path, params=params, body=body, token=token)
