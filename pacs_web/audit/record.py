"""Writes audit rows: each act once, and streamed pictures once in a quarter of an hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from pacs_web.audit.models import Action, AuditEvent

SAME_ACT = timedelta(minutes=15)


def record(
    request: HttpRequest,
    action: Action,
    *,
    study_uid: str = "",
    patient: tuple[str, str] = ("", ""),
    **detail: Any,
) -> None:
    """Write that the person of `request` did `action`; `patient` is (issuer, patient ID)."""
    AuditEvent.objects.create(
        who=request.user.get_username(),
        action=action,
        study_uid=study_uid,
        patient_issuer=patient[0][:64],
        patient_id=patient[1][:64],
        address=address_of(request),
        detail=detail,
    )


def record_once(
    request: HttpRequest, action: Action, *, study_uid: str, patient: tuple[str, str] = ("", "")
) -> None:
    """Write the row unless the same person did the same with the same study just before."""
    known = AuditEvent.objects.filter(
        who=request.user.get_username(),
        action=action,
        study_uid=study_uid,
        at__gt=timezone.now() - SAME_ACT,
    )
    if not known.exists():
        patient = patient if any(patient) else patient_last_seen_in(study_uid)
        record(request, action, study_uid=study_uid, patient=patient)


def patient_last_seen_in(study_uid: str) -> tuple[str, str]:
    """Return the (issuer, patient ID) that an earlier row names for a study, else blanks.

    A picture's address names no patient, and asking a node for each picture would be dear.
    """
    row = AuditEvent.objects.filter(study_uid=study_uid).exclude(patient_id="").last()
    return (row.patient_issuer, row.patient_id) if row else ("", "")


def address_of(request: HttpRequest | None) -> str | None:
    """Return the address that the request came from."""
    return request.META.get("REMOTE_ADDR") or None if request is not None else None
