"""The node's audit: `/api/audit` newest first, `/api/audit/lines` onwards for who collects it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from dicom_node.api.guard import allowed
from dicom_node.audit.following import after
from dicom_node.audit.reading import page
from dicom_node.config import CONFIG
from dicom_node.models import Study
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput

MAX_PAGE = 1000
UIDS_AT_ONCE = 500


@require_GET
@allowed("audit.read")
def records(request: HttpRequest) -> JsonResponse:
    """Answer records of the audit, newest first."""
    asked = request.GET
    found = page(
        Layout(CONFIG.data_dir).audit,
        since=_moment(asked.get("since", "")),
        kind=asked.get("kind", ""),
        limit=_limit(asked.get("limit", "100")),
        before=asked.get("before", ""),
    )
    return JsonResponse({"records": found.records, "next": found.next})


@require_GET
@allowed("audit.read")
def lines(request: HttpRequest) -> JsonResponse:
    """Answer the records after a cursor, oldest first, each with its key."""
    asked = request.GET
    found = after(
        Layout(CONFIG.data_dir).audit,
        asked.get("after", ""),
        _limit(asked.get("limit", "500")),
        datetime.now(UTC),
    )
    return JsonResponse(
        {
            "records": found.records,
            "patients": _patients(found.records),
            "next": found.next,
            "more": found.more,
        }
    )


def _patients(records: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return whose the studies are that the records name, as the index has it now."""
    named = sorted({uid for record in records for uid in _studies(record)})
    found = {}
    for at in range(0, len(named), UIDS_AT_ONCE):
        studies = Study._base_manager.filter(uid__in=named[at : at + UIDS_AT_ONCE])
        for uid, issuer, patient_id in studies.values_list("uid", "issuer", "patient_id"):
            found[uid] = {"issuer": issuer, "id": patient_id}
    return found


def _studies(record: dict[str, Any]) -> list[str]:
    several = record.get("studies")
    told = [record.get("study_uid"), *(several if isinstance(several, dict) else ())]
    return [uid for uid in told if isinstance(uid, str)]


def _moment(text: str) -> str:
    """Return a moment as the trail writes it, in UTC, so that texts compare as times do."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput("since is not a time (ISO 8601)") from None
    return utc.isoformat(timespec="milliseconds")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9])):
        raise BadInput("limit is not a number from 1")
    return min(int(text[:9]), MAX_PAGE)
