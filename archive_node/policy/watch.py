"""What is wrong, as far as rows can tell: alarms begin and end with each scan.

Raised elsewhere: suspect volumes and stuck drives (by the jobs that meet them), late scrubs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, Min, OuterRef

from archive_node import alarms, library
from archive_node.catalogue import is_all_there
from archive_node.models import CopiedInstance, Copy, EvictionList, Job, NodeState
from archive_node.policy import selection
from archive_node.policy.evictions import usable_bytes
from archive_node.policy.forecast import full_at
from archive_node.policy.rules import Policy, is_high
from pacs_common.sentences import say

WARNING, CRITICAL = "warning", "critical"
FILLING, SILENT, VAULT, NO_COPY, FAILED, BEHIND = (
    "disk-filling", "node-unreachable", "vault-missing", "no-good-copy", "jobs-failed",
    "copies-behind",
)  # fmt: skip
FAILED_FOR = timedelta(days=1)  # a failure that nobody tried again is news for so long
_MISSED = (
    Job.Kind.COPY, Job.Kind.RECALL, Job.Kind.SCRUB, Job.Kind.EVACUATE, Job.Kind.RESTORE,
)  # fmt: skip


def watch_disk(node: str, disk: dict[str, Any], policy: Policy, now: datetime) -> None:
    """Alarm hours before a disk is full where too little may be evicted (`disk` as scanned).

    Above its high watermark with nothing to evict is worth a look; it is critical where the disk
    is full within these hours, or only its reserve is left.
    """
    state = NodeState.objects.get(name=node)
    usable, free = usable_bytes(disk)
    may_go = state.amounts.get("evictable_bytes", 0)
    until = full_at(disk, state.arrivals, now)
    soon = timedelta(hours=settings.ARCHIVE.alarm_full_h)
    is_soon = until is not None and until - now < soon
    with_room = disk | {"free_bytes": disk["free_bytes"] + may_go}
    later = full_at(with_room, state.arrivals, now)
    waits = EvictionList.objects.filter(node=node, state=EvictionList.State.PROPOSED).exists()
    left = _left(free, until)
    if is_high(usable, free, policy) and not may_go:
        level = CRITICAL if is_soon or free <= 0 else WARNING
        alarms.raise_alarm(FILLING, node, level, say("disk-high", node=node, left=left))
    elif is_soon and later is not None and later - now < soon:
        text = say("disk-fills", node=node, evictable_bytes=may_go, left=left)
        alarms.raise_alarm(FILLING, node, WARNING, text)
    elif is_soon and waits:
        text = say("disk-list-waits", node=node, left=left)
        alarms.raise_alarm(FILLING, node, WARNING, text)
    else:
        alarms.end_alarm(FILLING, node)


def watch_copies(node: str, policy: Policy, now: datetime) -> None:
    """Alarm where a study has been quiet for long and still lacks a required copy."""
    rows = selection.to_be_copied(node).filter(is_proven=False)
    oldest = rows.aggregate(oldest=Min("last_arrival_at"))["oldest"]
    behind = timedelta(hours=settings.ARCHIVE.alarm_behind_h, seconds=policy.quiet_s)
    if oldest is not None and now - oldest > behind:
        text = say("copies-behind", node=node, since_at=oldest)
        alarms.raise_alarm(BEHIND, node, WARNING, text)
    else:
        alarms.end_alarm(BEHIND, node)


def watch_all(names: list[str], now: datetime) -> None:
    """Alarm of silent nodes, missing vaults, failed jobs and studies that lost their copies."""
    _watch_silence(names, now)
    _watch_vaults()
    _watch_jobs(now)
    _watch_lost_copies()


def _watch_silence(names: list[str], now: datetime) -> None:
    since = now - timedelta(seconds=settings.ARCHIVE.alarm_silent_s)
    silent = NodeState.objects.filter(name__in=names, silent_since__lte=since)
    for state in silent:
        text = say("node-silent", node=state.name, since_at=state.silent_since)
        alarms.raise_alarm(SILENT, state.name, CRITICAL, text)
    alarms.end_others(SILENT, [state.name for state in silent])


def _watch_vaults() -> None:
    _, missing = library.answering()
    required = library.required()
    for name, why in missing.items():
        level = CRITICAL if name in required else WARNING
        alarms.raise_alarm(VAULT, name, level, say("vault-missing", vault=name, why=why))
    alarms.end_others(VAULT, list(missing))


def _watch_jobs(now: datetime) -> None:
    """One alarm for each kind and node (or vault): a node that is off fails many at once."""
    later = Job.objects.filter(
        id__gt=OuterRef("id"),
        **{name: OuterRef(name) for name in ("kind", "node", "study_uid", "vault", "volume")},
    )
    failed = Job.objects.filter(
        ~Exists(later), kind__in=_MISSED, state=Job.State.FAILED, updated_at__gt=now - FAILED_FOR
    )
    subjects = []
    grouped = failed.values("kind", "node", "vault").annotate(number=Count("id"), first=Min("id"))
    for row in grouped.order_by("kind", "node", "vault"):
        place = " ".join(filter(None, (row["node"], row["vault"])))
        about = f"{row['kind']} {place}"
        alarms.raise_alarm(FAILED, about, WARNING, _failure(row, place))
        subjects.append(about)
    alarms.end_others(FAILED, subjects)


def _watch_lost_copies() -> None:
    """Shout of each study of which a copy went bad, no other has it, and its node neither."""
    bad = Copy.objects.filter(bad_since__isnull=False).values_list("node", "study_uid").distinct()
    subjects = []
    for node, study_uid in bad.order_by("node", "study_uid"):
        lost = _lost(node, study_uid)
        if lost:
            subjects.append(study_uid)
            text = say("lost", study_uid=study_uid, node=node, lost_count=lost)
            alarms.raise_alarm(NO_COPY, study_uid, CRITICAL, text)
    alarms.end_others(NO_COPY, subjects)


def _lost(node: str, study_uid: str) -> int:
    """Return how many instances of a study only bad copies hold, unless its node has all of it."""
    if is_all_there(node, study_uid):
        return 0
    rows = CopiedInstance.objects.filter(copy__node=node, copy__study_uid=study_uid)
    keys = ("sop_instance_uid", "stored_sha256")
    good = set(rows.filter(copy__bad_since=None).values_list(*keys))
    return len(set(rows.values_list(*keys)) - good)


def _failure(row: dict[str, Any], place: str) -> str:
    why = Job.objects.filter(id=row["first"]).values_list("error", flat=True).first() or ""
    told = {"job_kind": row["kind"], "place": place, "job": row["first"], "why": why}
    if row["number"] > 1:
        return say("jobs-failed", **told, jobs_count=row["number"])
    return say("job-failed", **told)


def _left(free: int, until: datetime | None) -> str:
    if until is None:
        return say("left", free_bytes=free)
    return say("left-until", free_bytes=free, full_at=until)
