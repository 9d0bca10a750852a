"""DELETE of studies, series and instances: they are rejected and hidden, no bytes go (rule 8)."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from dicom_node.api.guard import allowed
from dicom_node.custody import reject
from dicom_node.dicomweb.selection import LAYOUT, selected
from dicom_node.ingest import door
from dicom_node.ingest.ingest import Arrival, Outcome
from pacs_common.errors import Conflict

QUALITY = "113001"  # CID 7011: Rejected for Quality Reasons


@allowed("dicomweb.delete")
def delete(
    request: HttpRequest, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> JsonResponse:
    """Reject what the address names, for `reason=` (a code of CID 7011) and `comment=`."""
    found = selected(study_uid, series_uid, sop_uid)
    why = (request.GET.get("reason", QUALITY), request.GET.get("comment", ""))
    by = request.ticket.subject

    def store(note: bytes, transfer_syntax: str) -> None:
        result = door.opened().take(Arrival(note, transfer_syntax, stored_by=by))
        if result.outcome is not Outcome.STORED:
            raise Conflict(f"the rejection note was not stored: {result.reason or result.outcome}")

    rejection = reject.reject(LAYOUT, found, why, by, store)
    return JsonResponse({"rejection": reject.account(rejection)})
