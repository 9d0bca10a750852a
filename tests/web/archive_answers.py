"""What an archive stand-in knows and answers, by the three parts of its interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pacs_common.errors import BadInput, Conflict, NotFound
from pacs_common.tickets import Ticket

NOW = "2026-11-21T09:00:00+00:00"
OPEN = {"queued", "running", "waiting", "paused"}
ACTIONS = {
    "queued": ["pause", "cancel", "now", "priority"],
    "running": ["pause", "cancel"],
    "waiting": ["pause", "cancel", "now", "priority"],
    "paused": ["resume", "cancel"],
    "failed": ["retry"],
    "cancelled": ["retry"],
    "done": [],
}
LEADS_TO = {"retry": "queued", "pause": "paused", "resume": "queued", "cancel": "cancelled"}
Answer = tuple[int, Any] | None
Rows = list[dict[str, Any]]


class Part:
    """A part of the interface: None where an address is none of its own."""

    def do_get(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        return None

    do_post = do_put = do_delete = do_get


@dataclass
class Work(Part):
    """Jobs, and what was done."""

    rows: Rows = field(default_factory=list)
    acts: Rows = field(default_factory=list)
    log: Rows = field(default_factory=list)
    copies: Rows = field(default_factory=lambda: [{"volume": "A00001", "vault": "vault-1"}])

    def add(
        self, kind: str, study_uid: str, state: str = "queued", by: str = "rule", **more
    ) -> Any:
        """Queue a job, newest first."""
        job = {
            "id": len(self.rows) + 1, "kind": kind, "state": state, "node": "CT",
            "study_uid": study_uid, "vault": "", "volume": "", "requested_by": by, "attempts": 1,
            "error": "the drive is jammed" if state == "failed" else "", "waits_for": "",
            "priority": 10, "urgent": False,
            "progress": {
                "instances_done": 2, "instances_total": 5, "bytes_done": 40, "bytes_total": 100,
                "bytes_per_s": 0, "seconds_left": None,
            },
            "queue": {"ahead": 0, "expected_s": None}, "started_at": None, "due_at": NOW,
            "created_at": NOW, "updated_at": NOW,
        }  # fmt: skip
        self.rows.insert(0, job | more)
        return self.rows[0]

    def do_get(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        match path:
            case ["jobs"]:
                found = [job for job in self.rows if _matches(job, query)]
                return 200, {
                    "jobs": _paged([_told(job) for job in found], query),
                    "total": len(found),
                }
            case ["jobs", number]:
                return 200, {"job": _told(_one(self.rows, number))}
            case ["acts"]:
                return 200, {"acts": _paged(self.acts, query)}
            case ["log"]:
                return 200, {"lines": self.log}
            case ["studies", uid]:
                jobs = [_told(job) for job in self.rows if job["study_uid"] == uid]
                return 200, {"study_uid": uid, "copies": self.copies, "holds": [], "jobs": jobs}
        return None

    def do_post(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        match path:
            case ["jobs"]:
                given = (body["kind"], body["study_uid"])
                return 202, {"job": _told(self.add(*given, by=body["requested_by"]))}
            case ["jobs", "actions"]:
                return 200, self._many(body)
            case ["jobs", number, action]:
                return 202, {"job": _told(self._act(_one(self.rows, number), action, body))}
        return None

    def _many(self, body: dict[str, Any]) -> dict[str, Any]:
        chosen = {name: body[name] for name in ("state", "kind", "node", "vault") if name in body}
        ids = body.get("ids", [job["id"] for job in self.rows if _matches(job, chosen)])
        done, refused = [], []
        for number in ids:
            try:
                self._act(_one(self.rows, number), body["action"], {})
                done.append(number)
            except Conflict as error:
                refused.append({"id": number, "reason": str(error)})
        return {"done": done, "refused": refused}

    def _act(self, job: dict[str, Any], action: str, body: dict[str, Any]) -> dict[str, Any]:
        if action not in ACTIONS[job["state"]]:
            raise Conflict(f"job {job['id']} is {job['state']}")
        job["state"] = LEADS_TO.get(action, job["state"])
        if action == "priority":
            job["priority"] = body["priority"]
        return job


@dataclass
class Shelf(Part):
    """Volumes, vaults, and what shall be inserted."""

    volumes: Rows = field(default_factory=lambda: [dict(VOLUME)])
    missing: dict[str, str] = field(default_factory=dict)
    mounts: Rows = field(default_factory=list)
    copies: Rows = field(default_factory=list)
    done: list[tuple[str, str]] = field(default_factory=list)

    def do_get(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        match path:
            case ["volumes"]:
                return 200, {"volumes": self.volumes, "missing": self.missing}
            case ["volumes", vault, label]:
                copies = _paged(self.copies, query)
                told = {"copies": copies, "total": len(self.copies)}
                return 200, {"volume": self._volume(vault, label), **told}
            case ["mount-requests"]:
                return 200, {"requests": self.mounts}
        return None

    def do_post(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        match path:
            case ["mount-requests", number, "confirm"]:
                wanted = _one(self.mounts, number)
                if not body["barcode"].upper().startswith(wanted["volume"]):
                    raise Conflict(f"that is {body['barcode']}")
                self.mounts.remove(wanted)
                return 200, {}
            case ["volumes", vault, label, "insert"]:
                volume = self._volume(vault, label)
                if body["barcode"] != label:
                    raise Conflict(f"that is {body['barcode']}, not {label}")
                volume |= {"state": "full", "slot": 7}
                return 200, {"volume": volume}
            case ["volumes", vault, label, action]:
                return self._act(self._volume(vault, label), action)
        return None

    def _volume(self, vault: str, label: str) -> dict[str, Any]:
        for one in self.volumes:
            if (one["vault"], one["label"]) == (vault, label):
                return one
        raise NotFound(f"{vault} has no volume {label}")

    def _act(self, volume: dict[str, Any], action: str) -> tuple[int, Any]:
        if action not in volume["actions"]:
            raise Conflict(f"a good copy lies on {volume['label']} alone")
        self.done.append((action, volume["label"]))
        volume["state"] = {"suspect": "suspect", "shelve": "exported", "retire": "retired"}.get(
            action, volume["state"]
        )
        return 200, {"volume": volume}


@dataclass
class Policy(Part):
    """Rules, holds, windows, lists, alarms, and the state of all."""

    rules: Rows = field(default_factory=list)
    holds: Rows = field(default_factory=list)
    windows: Rows = field(default_factory=list)
    lists: Rows = field(default_factory=list)
    listed: Rows = field(default_factory=list)
    alarms: Rows = field(default_factory=list)
    told_by: dict[str, bool] = field(default_factory=lambda: {"mail": False, "webhook": False})
    outcome: Rows = field(default_factory=list)
    nodes: Rows = field(default_factory=lambda: [dict(NODE)])
    vaults: Rows = field(default_factory=lambda: [dict(VAULT)])
    growth: dict[str, Any] = field(default_factory=lambda: {"vaults": {}, "nodes": {}})
    marks: dict[str, Any] = field(default_factory=dict)
    tried: Rows = field(default_factory=list)
    work: Work = field(default_factory=Work)

    def do_get(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        match path:
            case ["status"]:
                return 200, self._status()
            case ["growth"]:
                return 200, self.growth
            case ["rules" | "holds" | "windows" as name]:
                return 200, {name: _paged(getattr(self, name), query)}
            case ["evictions"]:
                found = [one for one in self.lists if _matches(one, query)]
                return 200, {"lists": _paged(found, query)}
            case ["evictions", number]:
                return 200, {"list": _one(self.lists, number), "studies": self.listed}
            case ["alarms"]:
                return 200, {"alarms": _paged(self._alarms(query), query), "told_by": self.told_by}
        return None

    def do_post(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        match path:
            case ["rules", "try"]:
                self.tried.append(body)
                total = sum(one["size_bytes"] for one in self.outcome)
                return 200, {"studies": self.outcome, "total": len(self.outcome), "bytes": total}
            case ["rules" | "windows" as name]:
                if body.get("name") == "refuse me":
                    raise BadInput("conditions: nothing meets both")
                getattr(self, name).append(body | {"id": len(getattr(self, name)) + 1})
                return 201, {name[:-1]: getattr(self, name)[-1]}
            case ["holds"]:
                held = body | {"id": len(self.holds) + 1, "held_at": NOW, "held_by": by}
                self.holds.append(held)
                return 201, {"hold": held}
            case ["holds", number, "release"]:
                self.holds.remove(_one(self.holds, number))
                return 200, {}
            case ["evictions", number, "approve" | "refuse" as decision]:
                return 200, {"list": self._decided(_one(self.lists, number), decision, by)}
            case ["alarms", number, "acknowledge"]:
                told = {"acknowledged_at": NOW, "acknowledged_by": by}
                _one(self.alarms, number).update(told)
                return 200, {}
        return None

    def do_put(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        match path:
            case ["rules" | "windows" as name, number]:
                row = _one(getattr(self, name), number)
                row.update(body)
                return 200, {name[:-1]: row}
            case ["nodes", name, "policy"]:
                self.marks[name] = body
                return 200, {}
        return None

    def do_delete(self, path: list[str], query: dict[str, str], body: Any, by: str) -> Answer:
        match path:
            case ["rules" | "windows" as name, number]:
                getattr(self, name).remove(_one(getattr(self, name), number))
                return 204, None
        return None

    def _decided(self, row: dict[str, Any], decision: str, by: str) -> dict[str, Any]:
        if row["state"] != "proposed":
            raise Conflict(f"list {row['id']} is {row['state']}")
        state = {"approve": "approved", "refuse": "refused"}[decision]
        row.update({"state": state, "decided_by": by, "decided_at": NOW})
        return row

    def _alarms(self, query: dict[str, str]) -> Rows:
        state = query.get("state", "lasting")
        return [
            row
            for row in self.alarms
            if state == "all" or bool(row["ended_at"]) == (state == "ended")
            if query.get("kind", row["kind"]) == row["kind"]
        ]

    def _status(self) -> dict[str, Any]:
        states = [job["state"] for job in self.work.rows]
        return {
            "name": "archive",
            "version": "0.1.0",
            "vaults": self.vaults,
            "jobs": {state: states.count(state) for state in ACTIONS},
            "nodes": self.nodes,
            "policy": {"quiet_s": 900, "high_watermark": 0.85, "low_watermark": 0.8},
            "alarms": {"warning": 0, "critical": 0},
            "mount_requests": 0,
            "eviction_lists": 0,
        }


@dataclass
class Archive:
    """A running archive: its address, what it knows, what it was asked and the tickets it saw.

    `broken` makes it answer every request with that failure.
    """

    url: str
    work: Work = field(default_factory=Work)
    shelf: Shelf = field(default_factory=Shelf)
    policy: Policy = field(init=False)
    tickets: list[Ticket] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    broken: str = ""

    def __post_init__(self) -> None:
        self.policy = Policy(work=self.work)
        self.add, self.jobs, self.log = self.work.add, self.work.rows, self.work.log


def _told(job: dict[str, Any]) -> dict[str, Any]:
    return {**job, "actions": ACTIONS[job["state"]]}


def _matches(row: dict[str, Any], query: dict[str, str]) -> bool:
    for name in ("state", "kind", "node", "vault", "volume"):
        if name == "state" and query.get(name) == "open":
            if row["state"] not in OPEN:
                return False
        elif query.get(name) and row.get(name) != query[name]:
            return False
    return not query.get("study") or row["study_uid"] == query["study"]


def _paged(rows: Rows, query: dict[str, str]) -> Rows:
    begins = int(query.get("offset", 0))
    return rows[begins : begins + int(query.get("limit", 100))]


def _one(rows: Rows, number: object) -> dict[str, Any]:
    for row in rows:
        if row["id"] == int(str(number)):
            return row
    raise NotFound("no such row")


VAULT = {
    "name": "vault-1",
    "kind": "tape library",
    "required": True,
    "drives": 2,
    "volumes": 1,
    "used_bytes": 12_000_000,
    "capacity_bytes": 35_000_000_000,
    "shelf": 0,
    "problem": "",
}
VOLUME = {
    "label": "A00001",
    "vault": "vault-1",
    "state": "filling",
    "used_bytes": 12_000_000,
    "capacity_bytes": 35_000_000_000,
    "copies": 1,
    "bad_copies": 0,
    "first_written_at": NOW,
    "last_written_at": NOW,
    "scrubbed_at": None,
    "drive": None,
    "slot": 3,
    "actions": ["scrub", "suspect", "shelve", "evacuate"],
}
NODE = {
    "name": "RF",
    "reachable": False,
    "last_scan_at": NOW,
    "error": "no route to RF",
    "studies": 0,
    "disk": {},
    "high_watermark": 0.85,
    "low_watermark": 0.8,
    "least_age_days": 0,
    "approval": False,
    "evictable_bytes": 0,
    "unproven_bytes": 0,
    "held_bytes": 0,
    "full_at": None,
}
