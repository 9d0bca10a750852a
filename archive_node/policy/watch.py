"""What is wrong, as far as rows can tell: alarms begin and end with each scan.

Raised elsewhere: suspect volumes and stuck drives (by the jobs that meet them), late scrubs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, F, Min, OuterRef

from archive_node import alarms, library
from archive_node.models import CopiedInstance, Copy, EvictionList, Job, NodeState, StudyFacts
from archive_node.policy import selection
from archive_node.policy.evictions import usable_bytes
from archive_node.policy.forecast import full_at
from archive_node.policy.rules import Policy, is_high

WARNING, CRITICAL = "warning", "critical"
FILLING, SILENT, VAULT, NO_COPY, FAILED, BEHIND = (
    "disk-filling", "node-unreachable", "vault-missing", "no-good-copy", "jobs-failed",
    "copies-behind",
)  # fmt: skip
FAILED_FOR = timedelta(days=1)  # a failure that nobody tried again is news for so long
_MISSED = (Job.Kind.COPY, Job.Kind.RECALL, Job.Kind.SCRUB, Job.Kind.EVACUATE)


def watch_disk(node: str, disk: dict[str, Any], policy: Policy, now: datetime) -> None:
    """Alarm hours before a disk is full where too little may be evicted (`disk` as scanned)."""
    state = NodeState.objects.get(name=node)
    usable, free = usable_bytes(disk)
    may_go = state.amounts.get("evictable_bytes", 0)
    until = full_at(disk, state.arrivals, now)
    soon = timedelta(hours=settings.ARCHIVE.alarm_full_h)
    is_soon = until is not None and until - now < soon
    with_room = disk | {"free_bytes": disk["free_bytes"] + may_go}
    later = full_at(with_room, state.arrivals, now)
    waits = EvictionList.objects.filter(node=node, state=EvictionList.State.PROPOSED).exists()
    if is_high(usable, free, policy) and not may_go:
        text = f"{node} is above its high watermark and nothing may be evicted"
        alarms.raise_alarm(FILLING, node, CRITICAL, f"{text}: {_left(free, until)}")
    elif is_soon and later is not None and later - now < soon:
        text = f"{node} fills and only {may_go} bytes may be evicted"
        alarms.raise_alarm(FILLING, node, WARNING, f"{text}: {_left(free, until)}")
    elif is_soon and waits:
        text = f"{node} fills and its eviction list waits for approval"
        alarms.raise_alarm(FILLING, node, WARNING, f"{text}: {_left(free, until)}")
    else:
        alarms.end_alarm(FILLING, node)


def watch_copies(node: str, policy: Policy, now: datetime) -> None:
    """Alarm where a study has been quiet for long and still lacks a required copy."""
    rows = selection.online(node).filter(is_proven=False)
    oldest = rows.aggregate(oldest=Min("last_arrival_at"))["oldest"]
    behind = timedelta(hours=settings.ARCHIVE.alarm_behind_h, seconds=policy.quiet_s)
    if oldest is not None and now - oldest > behind:
        text = f"{node} has studies without their copies since {oldest:%Y-%m-%d %H:%M} UTC"
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
        text = f"{state.name} is silent since {state.silent_since:%Y-%m-%d %H:%M} UTC"
        alarms.raise_alarm(SILENT, state.name, CRITICAL, text)
    alarms.end_others(SILENT, [state.name for state in silent])


def _watch_vaults() -> None:
    _, missing = library.answering()
    required = library.required()
    for name, why in missing.items():
        level = CRITICAL if name in required else WARNING
        alarms.raise_alarm(VAULT, name, level, f"vault {name}: {why}")
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
        first = Job.objects.filter(id=row["first"]).first()
        about = " ".join(filter(None, (row["kind"], row["node"], row["vault"])))
        what = f"{row['number']} {row['kind']} jobs failed" if row["number"] > 1 else "a job failed"
        why = f": job {first.id}, {first.error}" if first else ""
        alarms.raise_alarm(FAILED, about, WARNING, f"{about}: {what}{why}")
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
            text = f"study {study_uid} of {node}: {lost} instances have no good copy anywhere"
            alarms.raise_alarm(NO_COPY, study_uid, CRITICAL, text)
    alarms.end_others(NO_COPY, subjects)


def _lost(node: str, study_uid: str) -> int:
    """Return how many instances of a study only bad copies hold, unless its node has all of it."""
    known = StudyFacts.objects.filter(node=node, study_uid=study_uid, online__gt=0)
    if known.filter(online__gte=F("instances")).exists():
        return 0
    rows = CopiedInstance.objects.filter(copy__node=node, copy__study_uid=study_uid)
    keys = ("sop_instance_uid", "stored_sha256")
    good = set(rows.filter(copy__bad_since=None).values_list(*keys))
    return len(set(rows.values_list(*keys)) - good)


def _left(free: int, until: datetime | None) -> str:
    when = f", full at {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return f"{max(0, free)} bytes are left{when}"
