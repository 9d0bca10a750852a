"""Who did what to the archive: the newest acts, as the archive itself noted them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from pacs_common.archive_client import ArchiveClient
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.jobs import Pages, page_of
from pacs_web.archive.moments import moment
from pacs_web.archive.rules import in_words
from pacs_web.archive.showing import live_page
from pacs_web.archive.words import ACTS, DETAILS, HOLD_KINDS, JOB_KINDS, RULE_ACTIONS, said

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
            "acts": [_shown(row) for row in rows[:ACTS_A_PAGE]],
            "pages": Pages(page, ACTS_A_PAGE, offset + len(rows)),
        }

    return live_page(request, "acts", told(request, gather))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    details = {name: value for name, value in (row.get("details") or {}).items() if value != ""}
    return {
        **row,
        "moment": moment(row.get("at")),
        "act": said(ACTS, row.get("kind", "")),
        "job": details.pop("job", None),
        "study_uid": details.pop("study_uid", ""),
        "details": [(said(DETAILS, name), _value(name, value)) for name, value in details.items()],
    }


def _value(name: str, value: Any) -> Any:
    if name == "operation":
        return said(JOB_KINDS if value in JOB_KINDS else RULE_ACTIONS, value)
    if name == "conditions":
        return ", ".join(in_words(value)) or _("all")
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items() if one not in ("", None))
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return said(HOLD_KINDS, value) if name == "kind" else value
