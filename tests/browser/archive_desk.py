"""The operator's desk: a real portal before an archive stand-in that has a hospital's troubles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pacs_common.sentences import say
from tests.support import roles
from tests.web.archive_answers import NODE, VAULT, VOLUME, Archive
from tests.web.archive_stand_in import archive_stand_in

SOURCES = ("CT", "RF", "CR")
GB = 10**9
ROOT_UID = "1.2.276.0.7230010.3.1.2.8323329.41"


@dataclass
class Desk:
    """The running portal, the archive behind it, and where their files are."""

    folder: Path
    portal: roles.Role
    archive: Archive

    def password(self, name: str) -> str:
        """Return a demo person's password."""
        return roles.accounts(self.folder)[name]["password"]


@contextmanager
def archive_desk(folder: Path) -> Iterator[Desk]:
    """Run a portal whose nodes are named but away, and an archive with everything in it."""
    trust = folder / "trust"
    trust.mkdir(parents=True)
    nodes = {name: roles.node(folder, name) for name in SOURCES}
    with archive_stand_in(trust) as archive:
        fill(archive)
        portal = roles.portal(folder, nodes, archive.url, PACS_NODE_TIMEOUT_S="2")
        with roles.running(portal):
            yield Desk(folder, portal, archive)


def fill(archive: Archive) -> None:
    """Give the archive alarms, jobs of every state, volumes, requests, rules and lists."""
    _fill_jobs(archive)
    _fill_vaults(archive)
    _fill_policy(archive)


def ago(**span: float) -> str:
    """Return a moment that is so long ago."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def ahead(**span: float) -> str:
    """Return a moment that comes in so long."""
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


def _fill_jobs(archive: Archive) -> None:
    for number in range(14):
        archive.add("copy", f"{ROOT_UID}.{number}", "done", vault="vault-1", volume="A00003")
    archive.add("evict", f"{ROOT_UID}.20", "failed", node="CR")
    archive.add("copy", f"{ROOT_UID}.21", "cancelled", vault="off-site", by="archivist")
    archive.add("scrub", "", "paused", node="", vault="vault-1", volume="A00002", by="beat")
    archive.add("copy", f"{ROOT_UID}.22", "queued", node="CR", vault="off-site", priority=0)
    archive.add("copy", f"{ROOT_UID}.23", "queued", vault="vault-1", priority=0)
    archive.add("recall", f"{ROOT_UID}.24", "queued", by="clinician", priority=20)
    archive.jobs[0]["queue"] = {"ahead": 1, "expected_s": 310}
    archive.add("recall", f"{ROOT_UID}.25", "waiting", by="clinician", priority=20)
    archive.jobs[0] |= {"waits_for": "volume A00012 of vault-1", "vault": "vault-1"}
    archive.jobs[0] |= {"volume": "A00012"}
    running = {
        "instances_done": 212, "instances_total": 480, "bytes_done": 118_000_000,
        "bytes_total": 262_000_000, "bytes_per_s": 31_000_000, "seconds_left": 5,
    }  # fmt: skip
    archive.add("copy", f"{ROOT_UID}.26", "running", vault="vault-1", progress=running)
    archive.add("recall", f"{ROOT_UID}.27", "running", by="prior of 1.2.3", node="RF")
    for number in range(6):
        by = ("archivist", "clinician")[number % 2]
        act = {"job": number + 1, "operation": "copy", "node": "CT", "study_uid": ROOT_UID}
        archive.work.acts.append(
            {"at": ago(hours=number), "by": by, "kind": "asked", "details": act}
        )
    policy = {"node": "CR", "high_watermark": 0.9, "low_watermark": None, "least_age_days": 7.0}
    window = {"kind": "copy", "vault": "", "node": "", "weekdays": "0123456", "begins": "20:00"}
    full = say("list-disk-full", used_percent=0.942, mark_percent=0.85)
    for kind, details in (
        ("list-approved", {"list": 2, "node": "CR", "studies": 12, "why": full}),
        ("policy-set", policy | {"approval": True}),
        ("held", {"hold": 3, "node": "CT", "operation": "legal", "why": "expertise"}),
        ("window-drawn", {"window": window | {"ends": "06:00", "bytes_per_s": 40_000_000}}),
    ):
        archive.work.acts.append(
            {"at": ago(days=1), "by": "archivist", "kind": kind, "details": details}
        )


def _fill_vaults(archive: Archive) -> None:
    shelf = archive.shelf
    full = {"used_bytes": 34_900_000_000, "copies": 412, "state": "full"}
    shelf.volumes[:] = [
        VOLUME | full | {"label": "A00001", "slot": 1, "scrubbed_at": ago(days=12)},
        VOLUME | full | {"label": "A00002", "slot": 2, "bad_copies": 1, "state": "suspect"}
        | {"actions": ["scrub", "trust", "evacuate", "retire"]},
        VOLUME | {"label": "A00003", "drive": 0, "used_bytes": 12_400_000_000, "copies": 151},
        VOLUME | full | {"label": "A00012", "slot": None, "state": "exported", "actions": []},
        VOLUME | {"label": "A00004", "slot": 4, "used_bytes": 0, "copies": 0, "state": "scratch"}
        | {"first_written_at": None, "last_written_at": None},
        VOLUME | full | {"label": "A00000", "slot": None, "state": "retired", "actions": []},
    ]  # fmt: skip
    shelf.missing["off-site"] = "nothing is mounted on /mnt/off-site"
    shelf.mounts[:] = [
        {"id": 1, "vault": "vault-1", "volume": "A00012", "drive": 1, "asked_at": ago(minutes=7)}
        | {"jobs": 3, "for": ["clinician", "archivist"]},
    ]
    shelf.copies[:] = [
        {"node": "CT", "study_uid": f"{ROOT_UID}.{number}", "vault": "vault-1"}
        | {"volume": "A00003", "member": f"{number}.tar", "revision": 60, "instances": 480}
        | {"size_bytes": 262_000_000, "key_id": "", "written_at": ago(days=number + 1)}
        | {"verified_at": ago(days=number) if number else None, "scrubbed_at": None}
        | {"problem": "the digest of 3 images differs" if number == 4 else ""}
        for number in range(6)
    ]


def _fill_policy(archive: Archive) -> None:
    policy = archive.policy
    policy.nodes[:] = [
        _node("CT", 400 * GB, 344 * GB, evictable_bytes=160 * GB, held_bytes=12 * GB)
        | {"unproven_bytes": 9 * GB, "full_at": ahead(days=3, hours=4), "studies": 1412},
        _node("RF", 200 * GB, 61 * GB, evictable_bytes=20 * GB) | {"studies": 388},
        _node("CR", 500 * GB, 471 * GB, unproven_bytes=30 * GB, evictable_bytes=44 * GB)
        | {"full_at": ahead(hours=9), "approval": True, "high_watermark": 0.9, "studies": 2210},
        NODE | {"name": "OLD", "error": "no route to OLD"},
    ]
    more = {"volumes": 6, "used_bytes": 152 * GB, "capacity_bytes": 210 * GB, "shelf": 1}
    policy.vaults[:] = [
        VAULT | more,
        VAULT | {"name": "off-site", "kind": "s3", "drives": 0, "required": True}
        | {"problem": "nothing is mounted on /mnt/off-site"},
        VAULT | {"name": "cloud", "kind": "s3", "drives": 0, "required": False, "volumes": 3}
        | {"capacity_bytes": 0, "used_bytes": 61 * GB},
    ]  # fmt: skip
    days = [(datetime.now(UTC) - timedelta(days=back)).date().isoformat() for back in range(30)]
    for name, size, used in (("CT", 400, 344), ("RF", 200, 61), ("CR", 500, 471)):
        policy.growth["nodes"][name] = [
            {"day": day, "used_bytes": (used - back * 2.1) * GB, "total_bytes": size * GB}
            for back, day in enumerate(days)
        ]
    for name, most in (("vault-1", 3 * GB), ("cloud", GB)):
        policy.growth["vaults"][name] = [
            {"day": day, "bytes": most * (5 + (back * 7) % 9) // 13 if back % 7 > 1 else 0}
            for back, day in enumerate(days)
        ]
    _fill_alarms(policy.alarms)
    policy.lists[:] = [_list(3, "CR", "proposed"), _list(2, "CR", "approved") | _DECIDED]
    policy.listed[:] = [
        {"study_uid": f"{ROOT_UID}.{number}", "instances": 480, "size_bytes": 262_000_000}
        | {"last_used_at": ago(days=90 - number), "why": "unused for 90 days", "job": None}
        for number in range(12)
    ]
    policy.rules[:] = [_rule(1), _rule(2) | _TEACHING]
    policy.holds[:] = [
        {"id": 1, "node": "CT", "study_uid": f"{ROOT_UID}.3", "kind": "legal"}
        | {"reason": "court file 2026/114", "held_at": ago(days=3), "held_by": "archivist"},
    ]
    policy.windows[:] = [
        {"id": 1, "kind": "copy", "vault": "", "node": "", "weekdays": "01234"}
        | {"begins": "20:00", "ends": "06:00", "bytes_per_s": 40_000_000, "enabled": True},
        {"id": 2, "kind": "scrub", "vault": "vault-1", "node": "", "weekdays": "56"}
        | {"begins": "08:00", "ends": "20:00", "bytes_per_s": None, "enabled": True},
        {"id": 3, "kind": "", "vault": "", "node": "CR", "weekdays": "0123456"}
        | {"begins": "01:00", "ends": "05:00", "bytes_per_s": None, "enabled": False},
    ]
    policy.outcome[:] = [
        {"node": "CT", "study_uid": f"{ROOT_UID}.{number}", "study_date": "20250212"}
        | {"modalities": ["CT"], "description": "CRANE SANS INJECTION", "size_bytes": 262_000_000}
        | {"last_used_at": ago(days=100), "does": "hold" if number == 2 else "evict"}
        | {"why": "held: legal (expertise), by archivist" if number == 2 else "rule Old CT"}
        for number in range(5)
    ]


def _fill_alarms(alarms: list[dict[str, Any]]) -> None:
    row = {"seen_at": ago(minutes=1), "ended_at": None, "acknowledged_at": None}
    row["acknowledged_by"] = ""
    left = say("left-until", free_bytes=29 * GB, full_at=datetime.now(UTC) + timedelta(hours=9))
    over = {"began_at": ago(days=3), "ended_at": ago(days=2, hours=20), "mailed_at": ago(days=2)}
    silent = say("node-silent", node="RF", since_at=datetime.now(UTC) - timedelta(days=3))
    alarms[:] = [
        row | {"id": 1, "kind": "vault-missing", "subject": "off-site", "level": "warning"}
        | {"text": "vault off-site: nothing is mounted on /mnt/off-site", "began_at": ago(hours=2)},
        row | {"id": 2, "kind": "disk-filling", "subject": "CR", "level": "critical"}
        | {"text": say("disk-list-waits", node="CR", left=left), "began_at": ago(hours=1)}
        | {"mailed_at": ago(minutes=55), "posted_at": ago(minutes=55)},
        row | {"id": 3, "kind": "volume-suspect", "subject": "vault-1/A00002"}
        | {"level": "warning", "text": "volume A00002 of vault-1: read error"}
        | {"acknowledged_at": ago(hours=20), "acknowledged_by": "archivist"}
        | {"began_at": ago(days=1), "mailed_at": ago(days=1)},
        row | over | {"id": 4, "kind": "node-unreachable", "subject": "RF", "level": "critical"}
        | {"text": silent, "acknowledged_at": None},
    ]  # fmt: skip


def _node(name: str, total: int, used: int, **more: Any) -> dict[str, Any]:
    disk = {"total_bytes": total, "free_bytes": total - used, "reserve_bytes": 0}
    disk["stored_bytes"] = used
    return NODE | {"name": name, "reachable": True, "error": "", "disk": disk} | more


def _list(number: int, node: str, state: str) -> dict[str, Any]:
    return {
        "id": number, "node": node, "state": state,
        "why": say("list-disk-full", used_percent=0.94, mark_percent=0.85),
        "wanted_bytes": 20 * GB, "listed_bytes": 21 * GB, "studies": 12,
        "made_at": ago(hours=1), "decided_at": None, "decided_by": "",
    }  # fmt: skip


def _rule(number: int) -> dict[str, Any]:
    conditions = {"nodes": ["CT"], "modalities": ["CT"], "study_age_days": 365, "unused_days": 30}
    return {
        "id": number, "name": "Old CT", "action": "evict", "vault": "", "reason": "",
        "enabled": True, "conditions": conditions, "changed_at": ago(days=9),
        "changed_by": "archivist",
    }  # fmt: skip


_DECIDED = {"decided_at": ago(days=1), "decided_by": "archivist"}
_TEACHING = {
    "name": "Teaching files", "action": "hold", "reason": "teaching collection", "enabled": False,
    "conditions": {"departments": ["Neurologie"], "description": "crane", "patient_age_below": 18},
}  # fmt: skip
