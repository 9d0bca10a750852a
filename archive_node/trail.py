"""The archive's audit: what operators asked for, and how jobs ended, in the order of commits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from archive_node.models import AuditLine, StudyFacts
from pacs_common.logs import trace_id

LOCK = 0x415243484956  # "ARCHIV"


def note(kind: str, by: str, **details: Any) -> None:
    """Add one line, in the caller's transaction if there is one.

    A reader that goes on after the last number it saw must miss no line: so on PostgreSQL whoever
    adds one holds a lock until its commit, as every writer does on SQLite.
    """
    note_all(kind, by, [details])


def note_all(kind: str, by: str, details: Iterable[dict[str, Any]]) -> None:
    """Add a line for each of `details`, as `note` does; with the id of the request or job."""
    trace = {"trace": trace_id.get()} if trace_id.get() else {}
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        AuditLine.objects.bulk_create(
            AuditLine(kind=kind, by=by[:200], details=trace | each) for each in details
        )


def after(cursor: int, limit: int) -> tuple[list[AuditLine], int]:
    """Return up to `limit` lines after the one with the number `cursor`, and where to go on.

    A cursor beyond the last line is of another database: all lines are given again.
    """
    last = AuditLine.objects.order_by("-id").values_list("id", flat=True).first() or 0
    lines = AuditLine.objects.filter(id__gt=cursor if cursor <= last else 0).order_by("id")
    found = list(lines[:limit])
    return found, found[-1].id if found else last


def patients_of(lines: list[AuditLine]) -> dict[str, dict[str, str]]:
    """Return whose the studies of lines are, as their nodes last told it."""
    uids = {str(line.details.get("study_uid") or "") for line in lines}
    known = StudyFacts.objects.filter(study_uid__in=uids).exclude(patient_id="")
    told = known.values_list("study_uid", "patient_issuer", "patient_id")
    return {uid: {"issuer": issuer, "id": patient_id} for uid, issuer, patient_id in told}
