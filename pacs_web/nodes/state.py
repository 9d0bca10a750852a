"""What a server says of itself, made ready for a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pacs_web.federation.fan_out import Failure, Gathered
from pacs_web.nodes.models import Kind, Node

NEARLY_FULL = 0.9
SOON_DAYS = 14
LONGEST_DAYS = 730


@dataclass(frozen=True)
class ServerCard:
    """One server on the servers' page: its state, or the failure to get it.

    `watermark` is the used part of a disk, its reserve left out, at which the archive frees it.
    """

    node: Node
    failure: Failure | None = None
    state: dict[str, Any] = field(default_factory=dict)
    watermark: float = 1.0

    @property
    def reachable(self) -> bool:
        """Whether the server answered."""
        return self.failure is None

    @property
    def is_own(self) -> bool:
        """Whether it tells of itself as our nodes do."""
        return self.node.kind == Kind.OWN

    @property
    def is_archive(self) -> bool:
        """Whether it is the archive."""
        return self.node.kind == Kind.ARCHIVE

    @property
    def vault(self) -> dict[str, Any]:
        """The archive's vault: names and sizes."""
        return next(iter(self.state.get("vaults") or []), {})

    @property
    def last_arrival_at(self) -> datetime | None:
        """When the last instance arrived, if any did."""
        given = self.state.get("last_arrival_at")
        return datetime.fromisoformat(given) if given else None

    @property
    def seal_broken_at(self) -> datetime | None:
        """When the seal of the node's emergency account was broken; None where it is whole."""
        return _moment(self.state.get("rescue"), "opened_at")

    @property
    def refilled_since(self) -> datetime | None:
        """Since when it stands in for a lost server, whose exams are not all back yet."""
        return _moment(self.state.get("take_over"), "began_at")

    @property
    def used_share(self) -> float:
        """How much of the disk is in use, 0.0 to 1.0."""
        total = self._disk("total_bytes")
        return 1 - self._disk("free_bytes") / total if total else 0.0

    @property
    def used_percent(self) -> int:
        """The same as a whole number of percent."""
        return round(100 * self.used_share)

    @property
    def nearly_full(self) -> bool:
        """Whether somebody should look at the disk."""
        return self.used_share >= NEARLY_FULL

    @property
    def bytes_a_day(self) -> int:
        """What arrives a day, as the node measured it over the last week."""
        return int((self.state.get("arrivals") or {}).get("bytes_a_day") or 0)

    @property
    def days_left(self) -> int | None:
        """In how many days the disk reaches its watermark; None where nothing arrives.

        At most LONGEST_DAYS: what is further away nobody can foresee.
        """
        usable = self._disk("total_bytes") - self._disk("reserve_bytes")
        if not self.bytes_a_day or usable <= 0:
            return None
        used = self._disk("total_bytes") - self._disk("free_bytes")
        left = (self.watermark * usable - used) / self.bytes_a_day
        return max(0, min(LONGEST_DAYS, int(left)))

    @property
    def far(self) -> bool:
        """Whether that is so far away that the number says nothing."""
        return self.days_left == LONGEST_DAYS

    @property
    def soon(self) -> bool:
        """Whether that is soon."""
        return self.days_left is not None and self.days_left < SOON_DAYS

    @property
    def shrunk_images(self) -> int:
        """Of how many images the lossless JPEG was measured."""
        return int(self._renditions.get("images") or 0)

    @property
    def compression(self) -> float:
        """How many times smaller lossless JPEG makes them; 1.0 where nothing was measured."""
        after = self._renditions.get("rendition_bytes") or 0
        return (self._renditions.get("original_bytes") or 0) / after if after else 1.0

    @property
    def saved_bytes(self) -> int:
        """What files stored compressed save on the node's disk."""
        return int(self._renditions.get("saved_bytes") or 0)

    @property
    def could_save_bytes(self) -> int:
        """What storing those images compressed would save besides."""
        told = self._renditions
        return int(told.get("original_bytes") or 0) - int(told.get("rendition_bytes") or 0)

    @property
    def _renditions(self) -> dict[str, Any]:
        return self.state.get("renditions") or {}

    def _disk(self, name: str) -> int:
        return int((self.state.get("disk") or {}).get(name) or 0)


def _moment(told: Any, name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(told[name])
    except (TypeError, LookupError, ValueError):  # not told, or no moment
        return None


def server_cards(nodes: Iterable[Node], gathered: Gathered[dict[str, Any]]) -> list[ServerCard]:
    """Pair each server with its answer or its failure, by site, in the nodes' order."""
    policies = [answer.get("policy") or {} for answer in gathered.answers.values()]
    watermark = next((one["high_watermark"] for one in policies if "high_watermark" in one), 1.0)
    cards = [
        ServerCard(
            node,
            gathered.failure_of(node.name),
            gathered.answers.get(node.name) or {},
            watermark,
        )
        for node in nodes
    ]
    return sorted(cards, key=lambda card: card.node.site)
