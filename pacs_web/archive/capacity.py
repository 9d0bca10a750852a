"""How full nodes and vaults are, how they grew, and when they are full: ready for their plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.utils.formats import date_format

from pacs_web.archive import plots
from pacs_web.archive.moments import duration, moment
from pacs_web.archive.telling import in_language
from pacs_web.archive.words import VAULT_KINDS, said

DAYS = 30
DAY_S = 86_400
FAR_S = 730 * DAY_S
SOON_S = 3 * DAY_S


def node_shown(node: Mapping[str, Any], rows: Sequence[Any], now: datetime) -> dict[str, Any]:
    """Return a node with the parts of its disk, its watermarks, its growth and its end.

    What the node keeps in reserve counts as no part of its disk, as for its watermarks.
    """
    disk = node.get("disk") or {}
    total = max(0, _bytes(disk, "total_bytes") - _bytes(disk, "reserve_bytes"))
    used = min(total, max(0, _bytes(disk, "total_bytes") - _bytes(disk, "free_bytes")))
    parts = {name: _bytes(node, f"{name}_bytes") for name in ("evictable", "held", "unproven")}
    rest = max(0, used - sum(parts.values()))
    share = used / total if total else 0.0
    full_at = moment(node.get("full_at"))
    left_s = (full_at - now).total_seconds() if full_at else None
    known = {row["day"]: row for row in rows if row.get("total_bytes")}
    shares = [_share(known.get(day.isoformat())) for day in _days(now)]
    points = plots.line(shares)
    high = node.get("high_watermark")
    return {
        **node,
        "total_bytes": total,
        "used_bytes": used,
        "percent": round(100 * share),
        "high_percent": _percent(high),
        "low_percent": _percent(node.get("low_watermark")),
        "over": bool(total and high is not None and share >= high),
        "boxes": plots.fill(total, [("rest", rest), *parts.items()]),
        "high_x": plots.across(high),
        "low_x": plots.across(node.get("low_watermark")),
        "line": points,
        "area": plots.under(points),
        "full_at": full_at,
        **_end(left_s),
        "last_scan": moment(node.get("last_scan_at")),
        "error": in_language(node.get("error")),
    }


def vault_shown(vault: Mapping[str, Any], rows: Sequence[Any], now: datetime) -> dict[str, Any]:
    """Return a vault with its fill, what was written to it on each day, and when it is full."""
    used, capacity = _bytes(vault, "used_bytes"), _bytes(vault, "capacity_bytes")
    written = {row["day"]: _bytes(row, "bytes") for row in rows}
    days = _days(now)
    amounts = [written.get(day.isoformat(), 0) for day in days]
    a_day = _bytes_a_day(amounts)
    left_s = DAY_S * max(0, capacity - used) / a_day if capacity and a_day else None
    return {
        **vault,
        "kind_text": said(VAULT_KINDS, vault.get("kind", "")),
        "problem": in_language(vault.get("problem")),
        "percent": round(100 * used / capacity) if capacity else 0,
        "boxes": plots.fill(capacity, [("stored", used)]),
        "columns": plots.columns(amounts, [date_format(day, "d/m") for day in days]),
        "bytes_a_day": round(a_day),
        **_end(left_s),
    }


def _days(now: datetime) -> list[date]:
    return [now.date() - timedelta(days=back) for back in reversed(range(DAYS))]


def _bytes_a_day(amounts: Sequence[int]) -> float:
    """Return the mean since the first day on which anything was written."""
    first = next((index for index, amount in enumerate(amounts) if amount), None)
    return 0.0 if first is None else sum(amounts[first:]) / (len(amounts) - first)


def _end(left_s: float | None) -> dict[str, Any]:
    """Return when something is full: in how long, whether that is soon, whether it is far off."""
    return {
        "full_in": "" if left_s is None else duration(left_s),
        "soon": left_s is not None and left_s < SOON_S,
        "far": left_s is not None and left_s > FAR_S,
    }


def _share(row: Mapping[str, Any] | None) -> float | None:
    return _bytes(row, "used_bytes") / _bytes(row, "total_bytes") if row else None


def _percent(share: float | None) -> int | None:
    return None if share is None else round(100 * share)


def _bytes(told: Mapping[str, Any], name: str) -> int:
    return int(told.get(name) or 0)
