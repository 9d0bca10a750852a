"""The archive's jobs, and the hours in which they may run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pacs_common.archive_client.connection import ArchiveConnection, part


class Jobs(ArchiveConnection):
    """The archive as a worker: what it does, and what operators do with that."""

    def jobs(self, **filters: str | int) -> list[dict[str, Any]]:
        """Return jobs, newest first; filters: state, kind, node, vault, volume, study, limit."""
        return self.jobs_page(**filters)["jobs"]

    def jobs_page(self, **filters: str | int) -> dict[str, Any]:
        """Return a part of the jobs (by limit and offset): {"jobs": [...], "total": 0}."""
        return self._read("/api/jobs", **filters)

    def job(self, job_id: int) -> dict[str, Any]:
        """Return one job."""
        return self._read(f"/api/jobs/{job_id}")["job"]

    def request_job(
        self, kind: str, node: str, study_uid: str, *, vault: str = ""
    ) -> dict[str, Any]:
        """Ask for "copy", "evict" or "recall" of a study; an open job of the kind is returned.

        A copy may name its vault.
        """
        body = {"kind": kind, "node": node, "study_uid": study_uid, "requested_by": self.subject}
        scope = "archive.recall" if kind == "recall" else "archive.operate"
        told = body | ({"vault": vault} if vault else {})
        return self._call("POST", "/api/jobs", scope, body=told)["job"]

    def act_on_job(self, job_id: int, action: str, priority: int | None = None) -> dict[str, Any]:
        """Retry, pause, resume, cancel a job, or run it "now", or give it a "priority"."""
        body = None if priority is None else {"priority": priority}
        return self._operate("POST", f"/api/jobs/{job_id}/{part(action)}", body)["job"]

    def retry_job(self, job_id: int) -> dict[str, Any]:
        """Queue a failed job again."""
        return self.act_on_job(job_id, "retry")

    def act_on_jobs(
        self,
        action: str,
        ids: Iterable[int] | None = None,
        *,
        priority: int | None = None,
        **filters: str,
    ) -> dict[str, Any]:
        """Act on the jobs that are named, or on all that match: {"done": [], "refused": []}."""
        body: dict[str, Any] = {"action": action, **filters}
        if ids is not None:
            body["ids"] = list(ids)
        if priority is not None:
            body["priority"] = priority
        return self._operate("POST", "/api/jobs/actions", body)

    def windows(self) -> list[dict[str, Any]]:
        """Return the hours in which jobs may run."""
        return self._read("/api/windows")["windows"]

    def draw_window(self, window: Mapping[str, Any]) -> dict[str, Any]:
        """Add a window and return it with its id; raises BadInput naming what is wrong."""
        return self._operate("POST", "/api/windows", dict(window))["window"]

    def change_window(self, window_id: int, window: Mapping[str, Any]) -> dict[str, Any]:
        """Put a window in the place of another."""
        return self._operate("PUT", f"/api/windows/{window_id}", dict(window))["window"]

    def remove_window(self, window_id: int) -> None:
        """Remove a window."""
        self._operate("DELETE", f"/api/windows/{window_id}")
