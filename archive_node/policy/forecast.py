"""When a node's disk will be full, what may go before, and how full it was on each day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Q, Sum
from django.db.models.functions import TruncDate

from archive_node.models import Copy, DayOfDisk, StudyFacts
from archive_node.policy import selection
from archive_node.policy.evictions import usable_bytes
from archive_node.policy.rules import Rules

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
    asked_for = {
        "evictable_bytes": selection.evictable(node, asked),
        "unproven_bytes": Q(is_proven=False),
        "held_bytes": selection.held(node, asked),
    }
    sums = {name: Sum("online_bytes", filter=which) for name, which in asked_for.items()}
    return {name: size or 0 for name, size in selection.online(node).aggregate(**sums).items()}


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
