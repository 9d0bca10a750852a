"""The other answer to a doubt about whose an exam is: its patient is right as it stands."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation.opening import open_study
from pacs_web.studies.models import ConfirmedPatient
from pacs_web.studies.views import clients_for

Filed = tuple[str, str, str]  # Study Instance UID, issuer, Patient ID


@requires(Right.CORRECT)
@require_POST
def confirm(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Note that an exam's patient is right, or with `undo` take that back."""
    study = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S).study
    filed = {"study_uid": study.uid, "issuer": study.issuer, "patient_id": study.patient_id}
    is_right = "undo" not in request.POST
    if is_right:
        said = {"confirmed_by": request.user.get_username(), "confirmed_at": timezone.now()}
        ConfirmedPatient.objects.get_or_create(**filed, defaults=said)
        messages.success(request, _("The exam is no longer listed as lost."))
    else:
        ConfirmedPatient.objects.filter(**filed).delete()
        messages.success(request, _("The exam is listed as lost again."))
    patient = (study.issuer, study.patient_id)
    record(request, Action.CORRECT, study_uid=study.uid, patient=patient, patient_is_right=is_right)
    return redirect("lost")


def confirmed(filed: Iterable[Filed]) -> set[Filed]:
    """Return which of these exams somebody found rightly filed."""
    asked = set(filed)
    rows = ConfirmedPatient.objects.filter(study_uid__in={uid for uid, _issuer, _id in asked})
    return asked & set(rows.values_list("study_uid", "issuer", "patient_id"))
