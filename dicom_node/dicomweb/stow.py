"""STOW-RS: stores the instances of a request through the one way in (PS3.18 10.5)."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse

from dicom_node import audit
from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.dicomweb.accept import JSON_TYPES, Offer, best
from dicom_node.dicomweb.stow_answer import XML, Kept, response
from dicom_node.dicomweb.stow_body import MediaType, chunks, media_type, read_parts
from dicom_node.dicomweb.stow_metadata import JSON, Metadata
from dicom_node.dicomweb.stow_parts import DICOM, Objects
from dicom_node.ingest import door
from pacs_common.errors import BadInput, UnsupportedMediaType
from pacs_common.uids import Uid

RELATED = "multipart/related"
_TAKEN = f'{RELATED}; type="{DICOM}", {DICOM}, or {RELATED}; type="{JSON}"'


@allowed("dicomweb.store", study_in_body=True)
def store(request: HttpRequest, study_uid: str = "") -> HttpResponse:
    """Store the instances of the body; each that is answered as stored is durable."""
    form = best(request, map(Offer, (*JSON_TYPES, XML))).media_type
    study = str(Uid.parse(study_uid, "Study Instance UID")) if study_uid else ""
    kind = media_type(request.headers.get("Content-Type", ""))
    _require_taken(kind)
    bound = study or request.ticket.study or ""
    body = chunks(request, CONFIG.stow_max_bytes)
    ticket = request.ticket
    may_reject = "dicomweb.delete" in ticket.scopes
    with Objects(door.opened(), bound, ticket.subject, may_reject=may_reject) as objects:
        try:
            _read(kind, body, objects)
        except BadInput as error:
            if not any(isinstance(one, Kept) for one in objects.accounts()):
                raise  # else the caller must hear what was kept
            objects.break_off(error)
        accounts = objects.accounts()
        _tell(request, objects)
    if not accounts:
        raise BadInput("the body holds no instance")
    return response(request, accounts, form)


def _require_taken(kind: MediaType) -> None:
    of_parts = kind.parameters.get("type", DICOM).lower()
    name = of_parts if kind.name == RELATED else kind.name
    if name != DICOM and (kind.name, of_parts) != (RELATED, JSON):
        raise UnsupportedMediaType(f"{name[:80] or 'a body of no type'} is not taken: {_TAKEN}")


def _read(kind: MediaType, body: Iterator[bytes], objects: Objects) -> None:
    boundary = kind.parameters.get("boundary", "")
    if kind.parameters.get("type", "").lower() == JSON:
        with Metadata(objects, CONFIG.stow_max_metadata_bytes, CONFIG.reserve_bytes) as metadata:
            read_parts(body, boundary, metadata, CONFIG.stow_max_parts)
            metadata.store()
        return
    if kind.name == RELATED:
        read_parts(body, boundary, objects, CONFIG.stow_max_parts)
        return
    objects.begin({})
    for chunk in body:
        objects.write(chunk)
    objects.end()


def _tell(request: HttpRequest, objects: Objects) -> None:
    """Put into the audit what was stored: a line for each study and outcome."""
    ticket = request.ticket
    for (study, outcome), count in objects.tally.items():
        audit.note(
            "stored",
            by=ticket.subject,
            issuer=ticket.issuer,
            address=request.META.get("REMOTE_ADDR", ""),
            study_uid=study,
            outcome=outcome,
            instances=count,
        )
