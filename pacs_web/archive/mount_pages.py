"""Volumes that an operator shall insert: scanned, compared, confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from pacs_common.errors import ArgensError
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import archive_for, told
from pacs_web.archive.doing import tried
from pacs_web.archive.forms import BarcodeForm
from pacs_web.archive.moments import moment
from pacs_web.archive.showing import live_page
from pacs_web.archive.telling import refusal
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def mounts(request: HttpRequest) -> HttpResponse:
    """Show what shall be inserted; POST confirms it by the barcode that was scanned."""
    wrong = None
    if request.method == "POST":
        wrong = _confirm(request)
        if wrong is None:
            return redirect("archive-mounts")
    context = told(
        request,
        lambda archive: {
            "requests": [
                {**one, "asked": moment(one.get("asked_at"))} for one in archive.mount_requests()
            ]
        },
    )
    response = live_page(request, "mounts", {"form": BarcodeForm(), "wrong": wrong, **context})
    if wrong is not None:
        response.status_code = 409
    return response


def _confirm(request: HttpRequest) -> dict[str, Any] | None:
    """Confirm the request that the barcode answers; return what was wrong with it, or None."""
    form = BarcodeForm(request.POST)
    if not form.is_valid():
        return {"why": _("Scan or type the barcode on the volume.")}
    barcode = form.cleaned_data["barcode"]
    try:
        waiting = archive_for(request).mount_requests()
    except ArgensError as error:
        return {"why": refusal(error)}
    wanted = requested(barcode, waiting)
    if wanted is None:
        record(
            request, Action.ARCHIVE, result=Result.FAILED, what="mount", barcode=barcode,
            failed="nobody asks for this volume",
        )  # fmt: skip
        return {"barcode": barcode, "wanted": waiting}
    about = {"what": "mount", "vault": wanted["vault"], "volume": wanted["volume"]}
    _answer, error = tried(
        request,
        Action.ARCHIVE,
        lambda archive: archive.confirm_mount(wanted["id"], wanted["volume"], wanted["drive"]),
        barcode=barcode,
        **about,
    )
    if error is not None:
        return {"barcode": barcode, "why": refusal(error), "wanted": [wanted]}
    messages.success(
        request, _("Thank you: volume %(label)s is in its place.") % {"label": wanted["volume"]}
    )
    return None


def requested(barcode: str, waiting: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the request that a barcode answers, the oldest first; None where none does.

    A tape's barcode may say more than its label: LTO adds two characters for the medium's kind.
    """
    read = barcode.strip().upper()
    for matches in (lambda label: read == label, lambda label: read[:-2] == label):
        for one in sorted(waiting, key=lambda one: str(one.get("asked_at"))):
            if matches(str(one["volume"]).upper()):
                return one
    return None
