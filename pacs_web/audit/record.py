"""Writes audit rows: each act once, and streamed pictures once in a quarter of an hour."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from pacs_common.logs import trace_id
from pacs_web.audit.models import Action, AuditEvent, AuditRows, Result
from pacs_web.audit.one_writer import one_writer

TRACE = "trace"  # the id of the request, as the logs of all roles have it
SAME_ACT = timedelta(minutes=15)
_RESULT_OF = {Action.REFUSED: Result.REFUSED, Action.LOGIN_FAILED: Result.FAILED}
_BROWSERS = [
    ("Edg/", "Edge"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
]
_PRODUCT = re.compile(r"[A-Za-z0-9._-]{1,40}")


def record(
    request: HttpRequest,
    action: Action,
    *,
    study_uid: str = "",
    patient: tuple[str, str] = ("", ""),
    result: Result | None = None,
    **detail: Any,
) -> None:
    """Write that the person of `request` did `action`; `patient` is (issuer, patient ID).

    Without `result` the act was done, or is by its nature a refusal or a failure.
    """
    write(
        request.user.get_username(),
        action,
        request,
        study_uid=study_uid,
        patient=patient,
        result=result,
        **detail,
    )


def write(
    who: str,
    action: Action,
    request: HttpRequest | None,
    *,
    study_uid: str = "",
    patient: tuple[str, str] = ("", ""),
    result: Result | None = None,
    **detail: Any,
) -> None:
    """Write an act of `who`, whom the request may not know yet (or no more)."""
    AuditEvent.objects.create(
        who=who,
        action=action,
        result=result or _RESULT_OF.get(action, Result.SUCCESS),
        study_uid=study_uid,
        patient_issuer=patient[0],
        patient_id=patient[1],
        address=address_of(request),
        agent=agent_of(request),
        detail=detail | ({TRACE: trace_id.get()} if trace_id.get() else {}),
    )


def record_once(
    request: HttpRequest,
    action: Action,
    *,
    study_uid: str,
    patient: tuple[str, str] = ("", ""),
    result: Result | None = None,
    **detail: Any,
) -> None:
    """Write the row unless the same person did the same with the same study just before.

    A known act costs one look at an index; only a new one takes the chain's lock, and looks again
    there, so that the pictures of one page, asked for at once, make one row.
    """
    known = _just_before(request, action, study_uid)
    if known.exists():
        return
    with one_writer():
        if known.all().exists():
            return
        patient = patient if any(patient) else patient_last_seen_in(study_uid)
        record(request, action, study_uid=study_uid, patient=patient, result=result, **detail)


def _just_before(request: HttpRequest, action: Action, study_uid: str) -> AuditRows:
    return AuditEvent.objects.filter(
        who=request.user.get_username(),
        action=action,
        study_uid=study_uid,
        at__gt=timezone.now() - SAME_ACT,
    )


def patient_last_seen_in(study_uid: str) -> tuple[str, str]:
    """Return the (issuer, patient ID) that an earlier row names for a study, else blanks.

    A picture's address names no patient, and asking a node for each picture would be dear.
    """
    rows = AuditEvent.objects.filter(study_uid=study_uid).exclude(patient_id="")
    row = rows.order_by("-at").first() if study_uid else None
    return (row.patient_issuer, row.patient_id) if row else ("", "")


def address_of(request: HttpRequest | None) -> str | None:
    """Return the address that the request came from."""
    return request.META.get("REMOTE_ADDR") or None if request is not None else None


def agent_of(request: HttpRequest | None) -> str:
    """Return with what kind of program somebody came: a browser's name, or a program's."""
    if request is None:
        return ""
    told = request.headers.get("User-Agent", "")
    if "Authorization" in request.headers:
        product = _PRODUCT.match(told)
        return f"token ({product[0]})" if product else "token"
    for mark, name in _BROWSERS:
        if mark in told:
            return name
    product = _PRODUCT.match(told)
    return product[0] if product else ""
