"""The reports' pages; each report that is read is itself in the audit."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit import tables
from pacs_web.audit.filters import Filters
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.audit.reports import people_of, rows_of_patient, seen_by

MOST_ROWS = 500
UNPROCESSABLE = 422
DAYS = {"type": "date"}


class PatientForm(forms.Form):
    """One patient: the key under which the hospital knows him (custody rule 12)."""

    patient_id = forms.CharField(label=_("Patient ID"), max_length=64)
    issuer = forms.CharField(label=_("Issuer"), max_length=64, required=False)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(DAYS))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(DAYS))


@requires(Right.AUDIT_PATIENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def patient_report(request: HttpRequest) -> HttpResponseBase:
    """Show who saw a patient; or that as an access request's answer (GDPR Article 15), or as CSV.

    The patient's number comes by POST, so that it stands in no address.
    """
    if request.method != "POST":
        return render(request, "audit/patient.html", {"form": PatientForm()})
    form = PatientForm(request.POST)
    if not form.is_valid():
        return render(request, "audit/patient.html", {"form": form}, status=UNPROCESSABLE)
    asked = form.cleaned_data
    rows = rows_of_patient(
        asked["issuer"], asked["patient_id"], _begin(asked["since"]), _begin(asked["until"], 1)
    )
    kind = request.POST.get("as", "page")
    patient = (asked["issuer"], asked["patient_id"])
    record(request, Action.AUDIT, patient=patient, report=f"patient, {kind}")
    if kind == "csv":
        return tables.answer(rows, "access-to-patient", patients=True)
    found = list(rows[: MOST_ROWS + 1])
    context = {
        "form": form,
        "asked": asked,
        "rows": found[:MOST_ROWS],
        "cut": len(found) > MOST_ROWS,
        "people": people_of(rows),
        "now": timezone.now(),
    }
    template = "audit/access_request.html" if kind == "print" else "audit/patient.html"
    return render(request, template, context)


@requires(Right.AUDIT_PATIENTS)
@require_safe
def person_report(request: HttpRequest) -> HttpResponseBase:
    """Show what a person saw: each exam with its patient, how often, first and last."""
    filters = Filters.of(request.GET)
    context: dict[str, object] = {"filters": filters}
    if filters.asked["who"]:
        record(request, Action.AUDIT, report="person", filters=filters.told)
        context["seen"] = seen_by(filters)
    return render(request, "audit/person.html", context)


def _begin(day: object, days_on: int = 0) -> datetime | None:
    """Return the beginning of a day, or of one after it."""
    if day is None:
        return None
    begin = datetime.fromisoformat(str(day)) + timedelta(days=days_on)
    return timezone.make_aware(begin)
