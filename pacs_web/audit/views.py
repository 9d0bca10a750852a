"""The audit's list: who did what; patients only for whom watches over privacy."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit import tables
from pacs_web.audit.filters import Filters, page_of
from pacs_web.audit.models import PORTAL, Action, AuditSource, AuditTarget, Result
from pacs_web.audit.record import record, record_once

HIDDEN = ("patient_id", "patient_issuer", "detail")  # IT sees no patient data


@requires(Right.AUDIT)
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Show the rows, newest first, as the filters want them."""
    filters = Filters.of(request.GET)
    patients = request.user.has_right(Right.AUDIT_PATIENTS)
    rows = filters.rows() if patients else filters.rows().defer(*HIDDEN)
    page = page_of(rows, request.GET.get("older", ""))
    _note(request, filters)
    sources = list(AuditSource.objects.order_by("name"))
    context = {
        "page": page,
        "filters": filters,
        "first": "older" not in request.GET,
        "patients": patients,
        "actions": Action.choices,
        "results": Result.choices,
        "sources": [PORTAL, *(source.name for source in sources)],
        "silent": [source for source in sources if source.problem],
        "unsent": AuditTarget.objects.exclude(problem="").first(),
    }
    return render(request, "audit/audit.html", context)


def _note(request: HttpRequest, filters: Filters) -> None:
    """Put into the audit that it was read: once where all is shown, each time that it was asked."""
    if filters.told and "older" not in request.GET:
        record(request, Action.AUDIT, report="list", filters=filters.told)
    else:
        record_once(request, Action.AUDIT, study_uid="", report="list")


@requires(Right.AUDIT)
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Give the rows that the filters want as CSV."""
    filters = Filters.of(request.GET)
    patients = request.user.has_right(Right.AUDIT_PATIENTS)
    record(request, Action.AUDIT, report="export", filters=filters.told)
    rows = filters.rows() if patients else filters.rows().defer(*HIDDEN)
    return tables.answer(rows, "audit", patients=patients)
