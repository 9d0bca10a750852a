"""Who did what to the archive: the newest acts, as the archive itself noted them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from pacs_common.archive_client import ArchiveClient
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.acts import act_shown
from pacs_web.archive.asking import told
from pacs_web.archive.jobs import Pages, page_of
from pacs_web.archive.showing import live_page

ACTS_A_PAGE = 100


@requires(Right.ARCHIVE, exam=False)
@require_safe
def acts(request: HttpRequest) -> HttpResponse:
    """Show the acts, the newest first."""
    page = page_of(request.GET)

    def gather(archive: ArchiveClient) -> dict[str, Any]:
        offset = (page - 1) * ACTS_A_PAGE
        rows = archive.acts(limit=ACTS_A_PAGE + 1, offset=offset)
        return {
            "acts": [act_shown(row) for row in rows[:ACTS_A_PAGE]],
            "pages": Pages(page, ACTS_A_PAGE, offset + len(rows)),
        }

    return live_page(request, "acts", told(request, gather))
