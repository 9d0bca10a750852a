"""How fast the node fills: what arrived in the last week, measured from the index."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Sum

from dicom_node.models import Instance
from dicom_node.store.layout import hour_of

WINDOW = timedelta(days=7)
SHORTEST_DAYS = 1.0  # a busy first hour says little of a day
KNOWN_S = 60.0
_KNOWN: dict[str, Any] = {"until": 0.0, "rate": {}}


def account() -> dict[str, Any]:
    """Return the arrivals of a week, or since the first one, and their bytes a day.

    Kept for a minute in each process: status is asked for every few seconds.
    """
    if time.monotonic() >= _KNOWN["until"]:
        _KNOWN.update(rate=measured(datetime.now(UTC)), until=time.monotonic() + KNOWN_S)
    return _KNOWN["rate"]


def measured(now: datetime) -> dict[str, Any]:
    """Return {"days", "instances", "bytes", "bytes_a_day"} of the week before `now`.

    Recalled files are no arrivals; rejected ones are, since they fill the disk.
    """
    first = Instance.every.aggregate(hour=Min("hour"))["hour"]
    since = hour_of(now - WINDOW)
    taken = Instance.every.filter(hour__gte=since).aggregate(
        instances=Count("id"), size=Sum("size_bytes", default=0)
    )
    days = max(SHORTEST_DAYS, (now - _moment(max(first or since, since))) / timedelta(days=1))
    size = int(taken["size"])
    return {
        "days": round(days, 2),
        "instances": taken["instances"],
        "bytes": size,
        "bytes_a_day": round(size / days),
    }


def _moment(hour: str) -> datetime:
    return datetime.strptime(f"{hour}+0000", "%Y/%m/%d/%H%z")
