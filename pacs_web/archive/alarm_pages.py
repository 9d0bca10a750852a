"""The alarms, those that are over too: what was wrong, for how long, and who looked at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_POST, require_safe

from pacs_common.archive_client import ArchiveClient
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.doing import back, done
from pacs_web.archive.jobs import Pages, page_of
from pacs_web.archive.moments import duration, moment
from pacs_web.archive.showing import live_page
from pacs_web.archive.telling import in_language
from pacs_web.archive.words import ALARMS, said
from pacs_web.audit.models import Action

ALARMS_A_PAGE = 50
STATES = {
    "lasting": pgettext_lazy("an alarm", "lasting"),
    "ended": pgettext_lazy("an alarm", "over"),
}
_TIMES = ("began_at", "ended_at", "acknowledged_at", "mailed_at", "posted_at")


def alarm_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alarm with its title, its text in the reader's language and its times as times."""
    times = {name: moment(row.get(name)) for name in _TIMES}
    began, ended = times["began_at"], times["ended_at"]
    return {
        **row,
        **times,
        "title": said(ALARMS, row.get("kind", "")),
        "text": in_language(row.get("text")),
        "lasted": duration((ended - began).total_seconds()) if began and ended else "",
    }


@requires(Right.ARCHIVE, exam=False)
@require_safe
def alarms(request: HttpRequest) -> HttpResponse:
    """Show all alarms, the newest first, of one kind or state where that is asked for."""
    wanted = {
        name: request.GET.get(name, "")
        for name, known in (("state", STATES), ("kind", ALARMS))
        if request.GET.get(name, "") in known
    }
    page = page_of(request.GET)
    context = told(request, lambda archive: _page(archive, wanted, page))
    choices = {"states": STATES, "kinds": ALARMS}
    return live_page(
        request, "alarms", {**context, **choices, "asked": wanted, "query": urlencode(wanted)}
    )


@requires(Right.ARCHIVE, exam=False)
@require_POST
def acknowledge(request: HttpRequest, alarm_id: int) -> HttpResponse:
    """Note that somebody looks at an alarm."""
    text = _("You have taken the alarm on: others see that you look at it.")
    about = {"what": "alarm", "alarm": alarm_id}
    done(request, Action.ARCHIVE, lambda one: one.acknowledge_alarm(alarm_id), text, **about)
    return back(request, "archive")


def _page(archive: ArchiveClient, wanted: Mapping[str, str], page: int) -> dict[str, Any]:
    offset = (page - 1) * ALARMS_A_PAGE
    filters = {"state": "all", **wanted, "limit": ALARMS_A_PAGE + 1, "offset": offset}
    answer = archive.alarms_page(**filters)
    rows = answer["alarms"]
    return {
        "alarms": [alarm_shown(row) for row in rows[:ALARMS_A_PAGE]],
        "channels": answer.get("told_by") or {},
        "pages": Pages(page, ALARMS_A_PAGE, offset + len(rows)),
    }
