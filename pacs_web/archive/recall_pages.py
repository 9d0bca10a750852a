"""The recall queue as the operator sees it: who comes next, and what each waits for."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from pacs_common.archive_client import ArchiveClient
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.jobs import shown
from pacs_web.archive.showing import live_page

QUEUE_SHOWN, ENDED_SHOWN = 200, 20
_ORDER = {"running": 0, "queued": 1, "waiting": 2, "paused": 3}


@requires(Right.ARCHIVE, exam=False)
@require_safe
def recalls(request: HttpRequest) -> HttpResponse:
    """Show what is being brought back, in the order in which it comes, and what came last."""
    return live_page(request, "recalls", told(request, _queue))


def _queue(archive: ArchiveClient) -> dict[str, Any]:
    queue = archive.jobs_page(kind="recall", state="open", limit=QUEUE_SHOWN)
    ended = archive.jobs_page(kind="recall", limit=ENDED_SHOWN)
    rows = [shown(job) for job in queue["jobs"]]
    rows.sort(key=lambda job: (_ORDER.get(job["state"], 9), job["ahead"] or 0, job["id"]))
    past = [shown(job) for job in ended["jobs"]]
    return {
        "queue": rows,
        "total": queue["total"],
        "ended": [job for job in past if not job["open"]],
    }
