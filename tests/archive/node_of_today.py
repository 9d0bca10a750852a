"""A stand-in that knows what a present node knows: changes, holds, its rate of arrivals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pacs_common import errors
from pacs_common.tickets import Ticket
from tests.archive.node_stand_in import Handler, NodeStandIn


class NodeOfToday(NodeStandIn):
    """`changed` names the studies that changed, in order; `facts` are added to a study's own."""

    def __init__(self, name: str, folder: Path, trust_dir: Path) -> None:
        super().__init__(name, folder, trust_dir)
        self.handler = _Handler
        self.changed: list[str] = []
        self.facts: dict[str, dict[str, Any]] = {}
        self.holds: dict[str, list[dict[str, str]]] = {}
        self.arrivals: dict[str, Any] = {"bytes_a_day": 0}
        self.page = 3
        self.served: list[str] = []  # every study of every page

    def arrive(self, study_uid: str, sop_uid: str, content: bytes, **how: float) -> None:
        super().arrive(study_uid, sop_uid, content, **how)
        self.changed.append(study_uid)

    def told(self, uid: str) -> dict[str, Any]:
        self.served.append(uid)
        held = {"held": bool(self.holds.get(uid))}
        return self.studies[uid].facts() | held | self.facts.get(uid, {})


class _Handler(Handler):
    node: NodeOfToday

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        after, since = query.get("after", [""])[0], query.get("since", [""])[0]
        node = self.node
        uids = set(node.changed[int(since) :]) if since else set(node.studies)
        page = sorted(uid for uid in uids if uid > after)[: node.page]
        more = bool(page) and page[-1] != max(uids)
        return {
            "studies": [node.told(uid) for uid in page],
            "next": page[-1] if more else None,
            "now": f"{len(node.changed):08d}",
        }

    def _get(self, ticket: Ticket, parts: list[str], query: dict[str, list[str]]) -> Any:
        status, answer = super()._get(ticket, parts, query)
        if parts == ["api", "node"]:
            answer |= {"arrivals": self.node.arrivals}
        return status, answer

    def _put(self, ticket: Ticket, parts: list[str], query: Any) -> Any:
        if parts[-1] != "holds":
            return super()._put(ticket, parts, query)
        uid = parts[3]
        ticket.require("custody.hold", uid)
        if uid not in self.node.studies:
            raise errors.NotFound("this node never had it")
        self.node.holds[uid] = json.loads(self.content)["holds"]
        self.node.changed.append(uid)
        return 200, {"study_uid": uid, "holds": self.node.holds[uid]}
