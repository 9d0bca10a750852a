"""The operator's first page: what is wrong, what waits, what runs, how full all is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from pacs_common.archive_client import ArchiveClient
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.alarm_pages import alarm_shown
from pacs_web.archive.asking import told
from pacs_web.archive.capacity import node_shown, vault_shown
from pacs_web.archive.evictions import list_shown
from pacs_web.archive.jobs import shown
from pacs_web.archive.moments import moment
from pacs_web.archive.showing import live_page
from pacs_web.archive.words import JOB_STATES

GROWTH_KEPT_S = 60  # it changes once a day: not to be asked for with each look
RUNNING_SHOWN = 12


@requires(Right.ARCHIVE, exam=False)
@require_safe
def archive(request: HttpRequest) -> HttpResponse:
    """Show the state of the archive; it follows by itself."""
    return live_page(request, "dashboard", told(request, _state))


def _state(client: ArchiveClient) -> dict[str, Any]:
    status, growth, now = client.status(), _growth(client), timezone.now()
    counts = status.get("jobs") or {}
    of_vaults, of_nodes = growth.get("vaults") or {}, growth.get("nodes") or {}
    running = client.jobs_page(state="running", limit=RUNNING_SHOWN)
    return {
        "status": status,
        "alarms": _alarms(client.alarms(limit=100)),
        "vaults": [
            vault_shown(one, of_vaults.get(one["name"], []), now) for one in status["vaults"]
        ],
        "nodes": [node_shown(one, of_nodes.get(one["name"], []), now) for one in status["nodes"]],
        "counts": [(name, text, counts.get(name, 0)) for name, text in JOB_STATES.items()],
        "running": [shown(job) for job in running["jobs"]],
        "running_total": running["total"],
        "mounts": [
            {**one, "asked": moment(one.get("asked_at"))} for one in client.mount_requests()
        ],
        "lists": [list_shown(one) for one in client.evictions(state="proposed", limit=20)],
    }


def _alarms(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the alarms with the worst first, and of these what nobody looks at yet."""
    rows.sort(key=lambda row: (row["level"] != "critical", bool(row["acknowledged_at"])))
    return [alarm_shown(row) for row in rows]


def _growth(client: ArchiveClient) -> dict[str, Any]:
    key = f"archive-growth-{datetime.now().date()}"
    known = cache.get(key)
    if known is None:
        known = client.growth()
        cache.set(key, known, GROWTH_KEPT_S)
    return known
