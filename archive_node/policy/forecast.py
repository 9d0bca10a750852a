"""When a node's disk will be full, what may go before, and how full it was on each day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, Sum
from django.db.models.functions import TruncDate

from archive_node.models import Copy, DayOfDisk, Hold, StudyFacts
from archive_node.policy import selection
from archive_node.policy.evictions import usable_bytes
from archive_node.policy.rules import HOLD, RECALL, Rules

FOREVER = timedelta(days=36_500)


def full_at(disk: dict[str, Any], arrivals: dict[str, Any], now: datetime) -> datetime | None:
    """Return when a disk is full, its reserve left out, if as much arrives as a day brought.

    None where the node does not say, nothing arrives, or it takes a century.
    """
    a_day = arrivals.get("bytes_a_day") if arrivals else None
    if not isinstance(a_day, int | float) or a_day <= 0 or not disk:
        return None
    left = timedelta(days=min(FOREVER.days, max(0, usable_bytes(disk)[1]) / a_day))
    return now + left if left < FOREVER else None


def amounts(node: str, asked: Rules) -> dict[str, int]:
    """Return the bytes on a node's disk that may go now, are not proven, and are held."""
    evictable = selection.evictable(node, asked.policy, asked.now)
    kept = _size(evictable) and _kept_bytes(evictable, asked, (HOLD, RECALL))
    unproven = Q()
    for vault in asked.policy.required:
        unproven |= ~selection.proven(vault)
    rows = selection.online(node)
    holds = Hold.objects.filter(
        node=OuterRef("node"), study_uid=OuterRef("study_uid"), released_at=None
    )
    by_person = Q(Exists(holds)) | Q(held=True)
    held = _size(rows.filter(by_person)) + _kept_bytes(rows.exclude(by_person), asked, (HOLD,))
    return {
        "evictable_bytes": _size(evictable) - kept,
        "unproven_bytes": _size(rows.filter(unproven)) if unproven else 0,
        "held_bytes": held,
    }


def _size(rows: Any) -> int:
    return rows.order_by().aggregate(sum=Sum("online_bytes"))["sum"] or 0


def _kept_bytes(rows: Any, asked: Rules, actions: Iterable[str]) -> int:
    """Return the bytes of the rows that a rule with one of these actions speaks of."""
    meant = [rule for rule in asked.rules if rule.action in actions]
    perhaps = Q()
    for rule in meant:
        perhaps |= selection.described(rule.conditions, asked.now) or Q(online__gt=0)
    if not meant:
        return 0
    return sum(
        facts.online_bytes
        for facts in selection.facts(rows.filter(perhaps).iterator(selection.PAGE))
        if any(rule.conditions.met_by(facts, asked.now) for rule in meant)
    )


def note_day(node: str, disk: dict[str, Any], now: datetime) -> None:
    """Keep how full a disk is today; the last scan of a day stands."""
    total = disk["total_bytes"]
    used = {"used_bytes": total - disk["free_bytes"], "total_bytes": total}
    DayOfDisk.objects.update_or_create(node=node, day=now.date(), defaults=used)


def disk_days(node: str, since: date) -> list[dict[str, Any]]:
    """Return how full a disk was on each day since `since`, oldest first."""
    rows = DayOfDisk.objects.filter(node=node, day__gte=since).order_by("day")
    return [
        {"day": row.day.isoformat(), "used_bytes": row.used_bytes, "total_bytes": row.total_bytes}
        for row in rows
    ]


def vault_days(vault: str, since: date, until: date) -> list[dict[str, Any]]:
    """Return the bytes written to a vault on each day (UTC) from `since` to `until`."""
    rows = Copy.objects.filter(vault=vault, written_at__date__gte=since)
    counted = (
        rows.annotate(day=TruncDate("written_at")).values("day").annotate(sum=Sum("size_bytes"))
    )
    written = {row["day"]: row["sum"] for row in counted.order_by()}
    days = [since + timedelta(days=number) for number in range((until - since).days + 1)]
    return [{"day": day.isoformat(), "bytes": written.get(day, 0)} for day in days]


def studies_of(node: str) -> int:
    """Return of how many studies a node has told."""
    return StudyFacts.objects.filter(node=node).count()
