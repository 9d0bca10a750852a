"""Lost exams: filed under nobody, or under a patient whom no server has seen before."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.arrivals.asking import Row, joined, open_to, own_nodes, with_times
from pacs_web.arrivals.forms import HOURS
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.correcting.confirming import Filed, confirmed
from pacs_web.federation.fan_out import Failure, fan_out
from pacs_web.nodes.servers.own import OwnServer

SHOWN = 200


@requires(Right.ARRIVALS)
@require_safe
def lost(request: HttpRequest) -> HttpResponse:
    """Show the exams that may be lost, the latest first, each with why and its correction.

    What somebody found right is left out, or with `show=right` shown alone.
    """
    given = request.GET.get("hours", "")
    hours = given if given in dict(HOURS) else HOURS[0][0]
    nodes = own_nodes(request)
    found = joined(
        nodes,
        lambda node: node.doubtful(hours=hours, limit=SHOWN),
        "studies",
        "last_arrival_at",
    )
    rows, failures = _unknown_everywhere(nodes, found.rows)
    wants_right = request.GET.get("show") == "right"
    right = confirmed(_filed(row) for row in rows)
    rows = [row for row in rows if (_filed(row) in right) == wants_right]
    silent = {one.node: one for one in (*found.failures, *failures)}
    context: dict[str, Any] = {
        "rows": with_times(open_to(request, rows)[:SHOWN], "last_arrival_at"),
        "failures": list(silent.values()),
        "hours": hours,
        "choices": HOURS,
        "cut": len(rows) > SHOWN,
        "shown": SHOWN,
        "wants_right": wants_right,
        "right": len(right),
    }
    record(request, Action.SEARCH, page="lost", hours=hours)
    return render(request, "arrivals/lost.html", context)


def _unknown_everywhere(nodes: list[OwnServer], rows: list[Row]) -> tuple[list[Row], list[Failure]]:
    """Leave out whose patient another node had seen before; a silent node proves nothing."""
    new = [row for row in rows if row["why"] == "new"]

    def ask(node: OwnServer) -> set[tuple[str, str]]:
        others = [row for row in new if row["node"] != node.name][:SHOWN]
        known = node.known_before([_asked(row) for row in others]) if others else []
        pairs = zip(others, known, strict=False)
        return {(row["node"], row["study_uid"]) for row, is_known in pairs if is_known}

    told = fan_out(nodes if new else [], ask, config.NODE_TIMEOUT_S)
    known = set().union(*told.answers.values())
    left = [row for row in rows if (row["node"], row["study_uid"]) not in known]
    return left, told.failures


def _filed(row: Row) -> Filed:
    return row["study_uid"], row["patient"]["issuer"], row["patient"]["id"]


def _asked(row: Row) -> dict[str, str]:
    return {
        "issuer": row["patient"]["issuer"],
        "id": row["patient"]["id"],
        "study_uid": row["study_uid"],
        "before": row["first_arrival_at"],
    }
