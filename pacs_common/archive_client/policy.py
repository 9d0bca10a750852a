"""What the hospital decides of its archive: rules, holds, watermarks, lists; and its alarms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacs_common.archive_client.connection import ACT_READ_S, ArchiveConnection, part


class Policy(ArchiveConnection):
    """The archive as its operators rule it."""

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules, by name."""
        return self._read("/api/rules")["rules"]

    def save_rule(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a rule, a new one where it has no id; raises BadInput naming what is wrong."""
        method, path = ("PUT", f"/{rule['id']}") if rule.get("id") else ("POST", "")
        return self._operate(method, f"/api/rules{path}", dict(rule))["rule"]

    def remove_rule(self, rule_id: int) -> None:
        """Remove a rule."""
        self._operate("DELETE", f"/api/rules/{rule_id}")

    def try_rule(self, rule: Mapping[str, Any], **page: int) -> dict[str, Any]:
        """Return what a rule would do now: {"studies", "total", "bytes", "complete"}."""
        return self._call(
            "POST",
            "/api/rules/try",
            "archive.operate",
            params=page or None,
            body=dict(rule),
            read_s=ACT_READ_S,
        )

    def holds(self, **page: int) -> list[dict[str, Any]]:
        """Return the holds in force, newest first."""
        return self._read("/api/holds", **page)["holds"]

    def hold(self, node: str, study_uid: str, kind: str, reason: str) -> dict[str, Any]:
        """Keep a study on its node; `kind` is "legal", "teaching" or "treatment"."""
        told = {"node": node, "study_uid": study_uid, "kind": kind, "reason": reason}
        return self._operate("POST", "/api/holds", told)["hold"]

    def release_hold(self, hold_id: int) -> None:
        """End a hold."""
        self._operate("POST", f"/api/holds/{hold_id}/release")

    def set_node_policy(self, node: str, **policy: Any) -> None:
        """Decide high_watermark and low_watermark (0 to 1), least_age_days and approval of a node.

        None is the default of the settings.
        """
        self._operate("PUT", f"/api/nodes/{part(node)}/policy", policy)

    def evictions(self, **filters: str | int) -> list[dict[str, Any]]:
        """Return the eviction lists, newest first; filters: state, limit, offset."""
        return self._read("/api/evictions", **filters)["lists"]

    def eviction(self, list_id: int, **page: int) -> dict[str, Any]:
        """Return a list and a part of its studies: {"list": {}, "studies": []}."""
        return self._read(f"/api/evictions/{list_id}", **page)

    def decide_eviction(self, list_id: int, decision: str) -> None:
        """Decide "approve" or "refuse"; raises Conflict where it was decided or overtaken."""
        self._operate("POST", f"/api/evictions/{list_id}/{part(decision)}")

    def alarms(self, **filters: str | int) -> list[dict[str, Any]]:
        """Return what somebody must look at; with ended=1 what is over, too."""
        return self._read("/api/alarms", **filters)["alarms"]

    def alarms_page(self, **filters: str | int) -> dict[str, Any]:
        """Return alarms, newest first, and who is told: {"alarms", "told_by": {"mail", "webhook"}}.

        Filters: state ("lasting", "ended", "all"), kind, limit, offset.
        """
        return self._read("/api/alarms", **filters)

    def acknowledge_alarm(self, alarm_id: int) -> None:
        """Say that somebody looks at it."""
        self._operate("POST", f"/api/alarms/{alarm_id}/acknowledge")
