"""The audit's page: person, act and study, without patients (IT sees no patient data)."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action, AuditEvent

ROWS_A_PAGE = 50


@requires(Right.AUDIT)
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Show the rows, newest first, for a person, an act or a study."""
    asked = {
        name: request.GET.get(name, "").replace("\x00", "").strip()
        for name in ("who", "action", "study")
    }
    rows = AuditEvent.objects.order_by("-at", "-pk").defer("patient_id", "patient_issuer")
    if asked["who"]:
        rows = rows.filter(who__icontains=asked["who"])
    if asked["action"] in Action.values:
        rows = rows.filter(action=asked["action"])
    if asked["study"]:
        rows = rows.filter(study_uid=asked["study"])
    page = Paginator(rows, ROWS_A_PAGE).get_page(request.GET.get("page"))
    return render(
        request, "audit/audit.html", {"page": page, "asked": asked, "actions": Action.choices}
    )
