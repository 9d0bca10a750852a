"""The other end of the wire: a node's custody API (docs/interfaces.md) over real HTTP.

Files lie on disk, tickets are verified, evictions delete, put-backs compare digests. It stands in
for another role, so that the archive's suite runs without it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pacs_common import errors
from pacs_common.tickets import Ticket, TicketVerifier


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Instance:
    uid: str
    file: Path
    stored_sha256: str
    size_bytes: int
    arrived_at: datetime
    online: bool = True
    place: str = "NEARLINE"

    def as_json(self) -> dict[str, Any]:
        return {
            "sop_instance_uid": self.uid,
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
            "series_uid": "1.2.3.1",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "size_bytes": self.size_bytes,
            "received_sha256": self.stored_sha256,
            "stored_sha256": self.stored_sha256,
            "pixel_sha256": self.stored_sha256,
            "arrived_at": self.arrived_at.isoformat(),
            "availability": "ONLINE" if self.online else self.place,
        }


@dataclass
class Quarantined:
    uid: str
    file: Path
    stored_sha256: str
    size_bytes: int
    reason: str = "same-uid"
    detail: str = ""
    decision: str = ""
    arrived_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def received_sha256(self) -> str:
        return sha256(f"received {self.stored_sha256}".encode())

    def as_json(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "received_sha256": self.received_sha256,
            "stored_sha256": self.stored_sha256,
            "size_bytes": self.size_bytes,
            "reason": self.reason,
            "detail": self.detail,
            "arrived_at": self.arrived_at.isoformat(),
            "decision": self.decision,
        }


@dataclass
class Study:
    uid: str
    instances: dict[str, Instance] = field(default_factory=dict)
    revision: int = 0
    recalls: int = 0
    digests_ready: bool = True
    last_arrival_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_access_at: datetime | None = None
    journal: list[dict[str, Any]] = field(default_factory=list)
    holds: list[dict[str, str]] = field(default_factory=list)
    quarantine: list[Quarantined] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        online = [one for one in self.instances.values() if one.online]
        return {
            "study_uid": self.uid,
            "patient_key": {"issuer": "FREJUS", "id": "42"},
            "modalities": ["CT"],
            "study_date": "20261121",
            "description": "Crâne sans injection",
            "instances": len(self.instances),
            "online": len(online),
            "size_bytes": sum(one.size_bytes for one in self.instances.values()),
            "online_bytes": sum(one.size_bytes for one in online),
            "revision": self.revision,
            "recalls": self.recalls,
            "last_arrival_at": self.last_arrival_at.isoformat(),
            "last_access_at": self.last_access_at.isoformat() if self.last_access_at else None,
            "digests_ready": self.digests_ready,
            "quarantined": sum(not one.decision for one in self.quarantine),
            "quarantine_files": len(self.quarantine),
            "birth_date": "19500417",
            "department": "Imagerie",
            "body_parts": ["HEAD"],
            "incomplete": False,
            "held": bool(self.holds),
            "holds": self.holds,
        }

    def shelve(self, told: dict[str, Any]) -> dict[str, Any]:
        """Note where evicted instances lie, all of them or those named."""
        named = set(told.get("instances", self.instances))
        away = [one for one in self.instances.values() if not one.online and one.uid in named]
        moved = [one.uid for one in away if one.place != told["availability"]]
        for one in away:
            one.place = told["availability"]
        return {"study_uid": self.uid, "moved": moved, "not_evicted": []}


class NodeStandIn:
    """A node named `name` that keeps its files in `folder`."""

    def __init__(self, name: str, folder: Path, trust_dir: Path) -> None:
        self.name = name
        self.folder = folder
        self.studies: dict[str, Study] = {}
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.used_jtis: dict[str, str] = {}
        self.in_use: set[str] = set()
        self.receipts: dict[str, str] = {}
        self.disk = {"total_bytes": 1000, "free_bytes": 900, "stored_bytes": 0, "reserve_bytes": 0}
        self.take_over: dict[str, str] | None = None
        self.missing: int | None = None  # what the archive told when it had refilled the node
        self.space_bytes = 1 << 40
        self.reserved: dict[str, int] = {}
        self.calls: list[str] = []
        self.delay_s = 0.0
        self.gives_many = True  # several files in one answer
        self.lists_quarantine = True
        self.lock = threading.Lock()
        self.verifier = TicketVerifier(name, trust_dir)
        self.url = ""

    def arrive(self, study_uid: str, sop_uid: str, content: bytes, *, ago_s: float = 3600) -> None:
        """Store a file as if it had come by C-STORE `ago_s` seconds ago."""
        at = datetime.now(UTC) - timedelta(seconds=ago_s)
        file = self.folder / f"{sop_uid}.dcm"
        self.folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        study = self.studies.setdefault(study_uid, Study(study_uid))
        study.instances[sop_uid] = Instance(sop_uid, file, sha256(content), len(content), at)
        study.revision += 1
        study.last_arrival_at = at

    def hold_back(self, study_uid: str, sop_uid: str, content: bytes, **about: str) -> Quarantined:
        """Let an object come that goes to quarantine, whether or not its study is here."""
        study = self.studies.setdefault(study_uid, Study(study_uid))
        one = self._quarantined(sop_uid, content, **about)
        study.quarantine.append(one)
        study.revision += 1
        study.last_arrival_at = datetime.now(UTC) - timedelta(hours=1)
        return one

    def take(self, study_uid: str, one: Quarantined) -> Quarantined:
        """Let a quarantined object and the stored one of its UID change places."""
        study = self.studies[study_uid]
        stored = study.instances[one.uid]
        left = self._quarantined(one.uid, stored.file.read_bytes(), decision="replaced")
        content = one.file.read_bytes()
        stored.file.write_bytes(content)
        stored.stored_sha256, stored.size_bytes = one.stored_sha256, one.size_bytes
        study.quarantine = [left if each is one else each for each in study.quarantine]
        study.journal.append({"kind": "quarantine-taken", "sop_instance_uid": one.uid})
        study.revision += 1
        return left

    def keep(self, study_uid: str, one: Quarantined) -> None:
        """Decide that a quarantined object stays where it is."""
        one.decision = "kept"
        study = self.studies[study_uid]
        study.journal.append({"kind": "quarantine-kept", "sop_instance_uid": one.uid})
        study.revision += 1

    def held_back(self, study_uid: str) -> dict[tuple[str, str], bytes]:
        """Return what lies in quarantine of a study, by UID and reason."""
        found = self.studies[study_uid].quarantine
        return {(one.uid, one.reason): one.file.read_bytes() for one in found}

    def _quarantined(self, sop_uid: str, content: bytes, **about: str) -> Quarantined:
        digest = sha256(content)
        file = self.folder / "quarantine" / f"{sop_uid}.{digest}.dcm"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return Quarantined(sop_uid, file, digest, len(content), **about)

    def online(self, study_uid: str) -> dict[str, bytes]:
        """Return the files that the node has of a study."""
        found = self.studies[study_uid].instances.values()
        return {one.uid: one.file.read_bytes() for one in found if one.online}

    def called(self, start: str) -> int:
        return sum(call.startswith(start) for call in self.calls)

    def evict(self, ticket: Ticket, plan: dict[str, Any]) -> dict[str, Any]:
        if ticket.plan != plan["plan_id"] or ticket.study != plan["study_uid"]:
            raise errors.Refused("the ticket is bound to another plan")
        if self.used_jtis.setdefault(ticket.jti, plan["plan_id"]) != plan["plan_id"]:
            raise errors.Conflict("the ticket was used for another plan")
        if plan["plan_id"] in self.answers:
            return self.answers[plan["plan_id"]]
        study = self.studies[plan["study_uid"]]
        if (plan["revision"], plan["recalls"]) != (study.revision, study.recalls):
            raise errors.Conflict("the plan is void: the study has changed since")
        answer: dict[str, Any] = {
            "plan_id": plan["plan_id"], "evicted": [], "refused": [], "freed_bytes": 0
        }  # fmt: skip
        for receipt in plan["instances"]:
            self._evict_one(study, receipt, answer)
        self.answers[plan["plan_id"]] = answer
        return answer

    def reserve(self, study_uid: str, size_bytes: int) -> dict[str, Any]:
        if size_bytes > self.space_bytes:
            raise errors.DiskFull(f"{self.name} has no room for {size_bytes} bytes")
        self.reserved[study_uid] = size_bytes
        return {"study_uid": study_uid, "bytes": size_bytes}

    def take_receipts(self, told: dict[str, Any]) -> dict[str, Any]:
        for receipt in told["instances"]:
            assert any(copy["verified_at"] for copy in receipt["copies"])
            self.receipts[receipt["sop_instance_uid"]] = receipt["stored_sha256"]
        return {"study_uid": told["study_uid"], "taken": list(self.receipts), "refused": []}

    def _evict_one(self, study: Study, receipt: dict[str, Any], answer: dict[str, Any]) -> None:
        one = study.instances[receipt["sop_instance_uid"]]
        reason = ""
        if receipt["stored_sha256"] != sha256(one.file.read_bytes()):
            reason = "another digest"
        elif not [copy for copy in receipt["copies"] if copy["verified_at"]]:
            reason = "no verified copy"
        elif one.uid in self.in_use:
            reason = "read a moment ago"
        if reason:
            answer["refused"].append({"sop_instance_uid": one.uid, "reason": reason})
            return
        one.file.unlink()
        one.online = False
        study.journal.append({"at": datetime.now(UTC).isoformat(), "kind": "evicted"})
        answer["evicted"].append(one.uid)
        answer["freed_bytes"] += one.size_bytes

    def restore(
        self, study_uid: str, sop_uid: str, content: bytes, headers: Any
    ) -> tuple[int, dict[str, Any]]:
        """Take an instance of which nothing is known here, as its file or as evicted."""
        if sha256(content) != headers["X-Stored-SHA256"]:
            raise errors.DigestMismatch("not the stored file")
        study = self.studies.setdefault(study_uid, Study(study_uid))
        copies = json.loads(headers.get("X-Evicted-To") or "[]")
        assert all(copy["verified_at"] for copy in copies)
        if not copies and len(content) > self.space_bytes:
            raise errors.DiskFull(f"{self.name} has no room")
        file = self.folder / f"{sop_uid}.dcm"
        self.folder.mkdir(parents=True, exist_ok=True)
        if not copies:
            self.space_bytes -= len(content)
            file.write_bytes(content)
        is_new = sop_uid not in study.instances
        study.instances[sop_uid] = Instance(
            sop_uid, file, sha256(content), len(content), datetime.now(UTC), online=not copies
        )
        return (201 if is_new else 200), {"restored": is_new}

    def restore_quarantined(
        self, study_uid: str, sop_uid: str, content: bytes, headers: Any
    ) -> tuple[int, dict[str, Any]]:
        """Take an object back into quarantine, with why it lay there."""
        if sha256(content) != headers["X-Stored-SHA256"]:
            raise errors.DigestMismatch("not the stored file")
        study = self.studies.setdefault(study_uid, Study(study_uid))
        known = {(one.uid, one.stored_sha256) for one in study.quarantine}
        is_new = (sop_uid, sha256(content)) not in known
        if is_new:
            told = json.loads(headers["X-Quarantined-For"])
            study.quarantine.append(self._quarantined(sop_uid, content, **told))
        return (201 if is_new else 200), {"restored": is_new}

    def restore_journal(self, study_uid: str, told: dict[str, Any]) -> dict[str, Any]:
        study = self.studies.setdefault(study_uid, Study(study_uid))
        new = [record for record in told["records"] if record not in study.journal]
        study.journal += new
        study.revision = max(study.revision, told["revision"])
        return {"added": len(new)}

    def put_back(self, study_uid: str, sop_uid: str, content: bytes) -> tuple[int, dict[str, Any]]:
        study = self.studies[study_uid]
        if sop_uid not in study.instances:
            raise errors.NotFound("this node never had it")
        one = study.instances[sop_uid]
        if sha256(content) != one.stored_sha256:
            raise errors.DigestMismatch("not the stored file")
        if one.online:
            return 200, {"restored": False}
        one.file.write_bytes(content)
        one.online = True
        study.recalls += 1
        if all(each.online for each in study.instances.values()):
            self.requests = [r for r in self.requests if r["study_uid"] != study_uid]
        return 201, {"restored": True}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else 40 ms an answer
    node: NodeStandIn

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_PUT(self) -> None:
        self._answered(self._put)

    def do_POST(self) -> None:
        self._answered(self._post)

    def log_message(self, *args: object) -> None:
        pass

    def _answered(self, verb: Any) -> None:
        address = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        self.content = self.rfile.read(length)
        parts = address.path.strip("/").split("/")
        try:
            _, token = self.headers.get("Authorization", " ").split(" ", 1)
            ticket = self.node.verifier.verify(token)
            if ticket.issuer != "archive":
                raise errors.Refused("only the archive may ask")
            with self.node.lock:
                self.node.calls.append(f"{self.command} {address.path}")
                status, answer = verb(ticket, parts, parse_qs(address.query))
        except errors.ArgensError as error:
            status, answer = error.http_status, errors.problem(error)
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if isinstance(answer, bytes) and self.node.delay_s:
            files = 1 + address.query.count(",") + address.query.count("%2C")
            threading.Event().wait(self.node.delay_s * files)
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _get(self, ticket: Ticket, parts: list[str], query: dict[str, list[str]]) -> Any:
        match parts:
            case ["api", "node"]:
                ticket.require("status")
                told = {"name": self.node.name, "disk": self.node.disk}
                return 200, told | {"take_over": self.node.take_over}
            case ["api", "custody", "studies"]:
                ticket.require("custody.read")
                return 200, self._page(query)
            case ["api", "custody", "recall-requests"]:
                ticket.require("custody.read")
                return 200, {"requests": self.node.requests}
            case ["api", "custody", "studies", uid]:
                ticket.require("custody.read", uid)
                study = self._study(uid)
                found = [one.as_json() for one in study.instances.values()]
                told = {"instances": found, "journal": study.journal}
                return 200, study.facts() | told | self._quarantine(study)
            case ["api", "custody", "quarantine", sop, digest]:
                return 200, self._held_back(ticket, sop, digest)
            case ["api", "custody", "studies", uid, "files"] if self.node.gives_many:
                ticket.require("custody.read", uid)
                return 200, self._tar(self._study(uid), query["instances"][0].split(","))
            case ["api", "custody", "studies", uid, "instances", sop]:
                ticket.require("custody.read", uid)
                one = self._study(uid).instances[sop]
                if not one.online:
                    raise errors.NotOnline("evicted")
                return 200, one.file.read_bytes()
        raise errors.NotFound("no such address")

    def _quarantine(self, study: Study) -> dict[str, Any]:
        listed = [one.as_json() for one in study.quarantine]
        return {"quarantine": listed} if self.node.lists_quarantine else {}

    def _held_back(self, ticket: Ticket, sop_uid: str, digest: str) -> bytes:
        for study in self.node.studies.values():
            for one in study.quarantine:
                if (one.uid, one.received_sha256) == (sop_uid, digest):
                    ticket.require("custody.read", study.uid)
                    return one.file.read_bytes()
        raise errors.NotFound("not in quarantine")

    def _tar(self, study: Study, uids: list[str]) -> bytes:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as tar:
            for uid in uids:
                self.node.calls.append(f"GET /api/custody/studies/{study.uid}/instances/{uid}")
                if not study.instances[uid].online:
                    raise errors.NotOnline("evicted")
                tar.add(study.instances[uid].file, f"{uid}.dcm")
        return made.getvalue()

    def _put(self, ticket: Ticket, parts: list[str], query: Any) -> Any:
        if parts[2] == "restore":
            ticket.require("custody.restore", parts[3])
            if parts[4] == "quarantine":
                held_back = self.node.restore_quarantined
                return held_back(parts[3], parts[5], self.content, self.headers)
            return self.node.restore(parts[3], parts[4], self.content, self.headers)
        if parts[-1] == "availability":
            ticket.require("custody.availability", parts[3])
            return 200, self._study(parts[3]).shelve(json.loads(self.content))
        if parts[-1] == "holds":
            ticket.require("custody.hold", parts[3])
            self._study(parts[3]).holds = json.loads(self.content)["holds"]
            return 200, {"study_uid": parts[3]}
        _, _, _, uid, _, sop = parts
        ticket.require("custody.recall", uid)
        self._study(uid)
        return self.node.put_back(uid, sop, self.content)

    def _post(self, ticket: Ticket, parts: list[str], query: Any) -> Any:
        plan = json.loads(self.content)
        if parts[2] == "take-over":
            ticket.require("custody.restore")
            self.node.missing, self.node.take_over = plan["missing"], None
            return 200, {"ended": True}
        if parts[2] == "restore":
            ticket.require("custody.restore", parts[3])
            return 200, self.node.restore_journal(parts[3], plan)
        if parts[-1] == "reservations":
            ticket.require("custody.recall", plan["study_uid"])
            return 200, self.node.reserve(plan["study_uid"], plan["bytes"])
        if parts[-1] == "receipts":
            ticket.require("custody.receipt", plan["study_uid"])
            return 200, self.node.take_receipts(plan)
        ticket.require("custody.evict", plan["study_uid"])
        return 200, self.node.evict(ticket, plan)

    def _study(self, uid: str) -> Study:
        if uid not in self.node.studies:
            raise errors.NotFound("this node never had it")
        return self.node.studies[uid]

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        after, limit = query.get("after", [""])[0], int(query["limit"][0])
        uids = sorted(uid for uid in self.node.studies if uid > after)[: min(limit, 3)]
        more = bool(uids) and uids[-1] != max(self.node.studies)
        facts = [self.node.studies[uid].facts() for uid in uids]
        return {"studies": facts, "next": uids[-1] if more else None}


@contextmanager
def serving(node: NodeStandIn) -> Iterator[NodeStandIn]:
    """Serve a node on a free port of the loopback."""
    handler = type("NodeHandler", (getattr(node, "handler", Handler),), {"node": node})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield node
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
