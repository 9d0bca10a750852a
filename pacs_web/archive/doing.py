"""What an operator does to the archive: asked of it, told to the audit, answered to the person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import ArgensError
from pacs_web.archive.asking import archive_for
from pacs_web.archive.telling import refusal
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record


def tried(
    request: HttpRequest,
    action: Action,
    ask: Callable[[ArchiveClient], Any],
    *,
    study_uid: str = "",
    **detail: Any,
) -> tuple[Any, ArgensError | None]:
    """Ask the archive to do something and tell the audit how that ended: (answer, error)."""
    try:
        answer = ask(archive_for(request))
    except ArgensError as error:
        failed = {**detail, "failed": str(error)}
        record(request, action, study_uid=study_uid, result=Result.FAILED, **failed)
        return None, error
    record(request, action, study_uid=study_uid, **detail)
    return answer, None


def done(
    request: HttpRequest,
    action: Action,
    ask: Callable[[ArchiveClient], Any],
    said: str,
    *,
    study_uid: str = "",
    **detail: Any,
) -> bool:
    """Do the same, and put `said` or why it failed at the head of the next page."""
    _answer, error = tried(request, action, ask, study_uid=study_uid, **detail)
    if error is None:
        messages.success(request, said)
    else:
        messages.error(request, refusal(error))
    return error is None


def back(request: HttpRequest, route: str, *args: Any) -> HttpResponse:
    """Lead back to the page of ours that the form names, or else to `route`."""
    page = request.POST.get("next", "")
    if page.startswith("/") and url_has_allowed_host_and_scheme(page, {request.get_host()}):
        return redirect(page)
    return redirect(route, *args)
