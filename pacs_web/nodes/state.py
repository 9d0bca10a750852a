"""What a node says of itself, made ready for a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pacs_web.federation.fan_out import Failure, Gathered
from pacs_web.nodes.models import Node

NEARLY_FULL = 0.9


@dataclass(frozen=True)
class ServerCard:
    """One node on the servers' page: its state, or the failure to get it."""

    node: Node
    failure: Failure | None = None
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def reachable(self) -> bool:
        """Whether the node answered."""
        return self.failure is None

    @property
    def last_arrival_at(self) -> datetime | None:
        """When the last instance arrived, if any did."""
        given = self.state.get("last_arrival_at")
        return datetime.fromisoformat(given) if given else None

    @property
    def used_share(self) -> float:
        """How much of the disk is in use, 0.0 to 1.0."""
        disk = self.state.get("disk") or {}
        total = disk.get("total_bytes") or 0
        return 1 - disk.get("free_bytes", 0) / total if total else 0.0

    @property
    def used_percent(self) -> int:
        """The same as a whole number of percent."""
        return round(100 * self.used_share)

    @property
    def nearly_full(self) -> bool:
        """Whether somebody should look at the disk."""
        return self.used_share >= NEARLY_FULL


def server_cards(nodes: Iterable[Node], gathered: Gathered[dict[str, Any]]) -> list[ServerCard]:
    """Pair each node with its answer or its failure, in the nodes' order."""
    return [
        ServerCard(node, gathered.failure_of(node.name), gathered.answers.get(node.name) or {})
        for node in nodes
    ]
