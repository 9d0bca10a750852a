"""What people see of storage commitment: each request, its items by failure reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count

from dicom_node.models import Commitment

MAX_REQUESTS = 500
MAX_FAILED_SHOWN = 100


def requests(
    *, state: str = "", peer_ae: str = "", side: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Return the requests that a person names, the latest first."""
    named = {"state": state, "peer_ae": peer_ae, "side": side}
    rows = Commitment.objects.filter(**{key: value for key, value in named.items() if value})
    return [request(row) for row in rows.order_by("-id")[: min(limit, MAX_REQUESTS)]]


def request(row: Commitment) -> dict[str, Any]:
    """Return one request with how many instances are committed, open and failed."""
    by_reason = row.items.values_list("reason").annotate(Count("id")).order_by()
    counts: dict[int | None, int] = dict(by_reason)
    failed = row.items.filter(reason__gt=0).order_by("id").values_list("uid", "reason")
    return {
        "id": row.id,
        "side": row.side,
        "state": row.state,
        "transaction_uid": row.transaction_uid,
        "peer_ae": row.peer_ae,
        "requested_by": row.requested_by,
        "asked_at": row.asked_at.isoformat(),
        "settled_at": _iso(row.settled_at),
        "next_at": None if row.settled_at else row.due_at.isoformat(),
        "attempts": row.attempts,
        "error": row.error,
        "answer_status": None if row.answer_status is None else f"0x{row.answer_status:04X}",
        "committed": counts.get(0, 0),
        "open": counts.get(None, 0),
        "failed": sum(n for reason, n in counts.items() if reason),
        "failures": [
            {"sop_instance_uid": uid, "reason": f"0x{reason:04X}"}
            for uid, reason in failed[:MAX_FAILED_SHOWN]
        ],
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
