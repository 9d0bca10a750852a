"""What people see of the queue: each study on its way to each destination, and the destinations."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet

from dicom_node.models import Forward, ForwardDestination

MAX_STUDIES = 500


def chosen(*, state: str = "", destination: str = "", study_uid: str = "") -> QuerySet[Forward]:
    """Return the rows that a person names; what is not named does not matter."""
    named = {"state": state, "destination": destination, "study_uid": study_uid}
    return Forward.objects.filter(**{key: value for key, value in named.items() if value})


def studies(rows: QuerySet[Forward], limit: int = 100) -> list[dict[str, Any]]:
    """Return what is known of each (destination, study) among the rows, the latest first."""
    groups = list(
        rows.values("destination", "study_uid")
        .annotate(last_id=Max("id"))
        .order_by("-last_id")[: min(limit, MAX_STUDIES)]
    )
    return [_study(group["destination"], group["study_uid"]) for group in groups]


def destinations() -> list[dict[str, Any]]:
    """Return each destination with how much waits for it, and since when it is away."""
    counted = Forward.objects.values("destination").annotate(
        waiting=Count("id", filter=Q(state__in=("waiting", "sending"))),
        given_up=Count("id", filter=Q(state="given-up")),
        oldest=Min("created_at", filter=Q(state__in=("waiting", "sending"))),
    )
    known = {row.ae_title: row for row in ForwardDestination.objects.all()}
    return [
        {
            "ae_title": row["destination"],
            "waiting": row["waiting"],
            "given_up": row["given_up"],
            "waiting_since": _iso(row["oldest"]),
            **_state(known.get(row["destination"])),
        }
        for row in counted.order_by("destination")
    ]


def _study(destination: str, study_uid: str) -> dict[str, Any]:
    rows = Forward.objects.filter(destination=destination, study_uid=study_uid)
    counts = Counter(
        {row["state"]: row["n"] for row in rows.values("state").annotate(n=Count("id")).order_by()}
    )
    last = rows.select_related("commitment").order_by("-id")[0]
    troubled = rows.exclude(error="").order_by("-id").first()
    first_due = rows.filter(state="waiting").aggregate(at=Min("due_at"))["at"]
    return {
        "destination": destination,
        "study_uid": study_uid,
        "rule": last.rule,
        "requested_by": last.requested_by,
        "asked_at": _iso(last.created_at),
        "counts": {state.value: counts[state.value] for state in Forward.State},
        "next_at": _iso(first_due),
        "error": troubled.error if troubled else "",
        "commitment": last.commitment.state if last.commitment else None,
    }


def _state(row: ForwardDestination | None) -> dict[str, Any]:
    return {
        "away_since": _iso(row.away_since) if row else None,
        "next_try_at": _iso(row.held_until) if row else None,
        "error": row.error if row else "",
        "last_sent_at": _iso(row.last_sent_at) if row else None,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
