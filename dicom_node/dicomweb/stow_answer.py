"""The Store Instances Response: what became of each instance, and of all (PS3.18 I.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from pydicom.dataset import Dataset

from dicom_node.api.guard import RETRY_AFTER_S
from dicom_node.ingest.ingest import Outcome, Result
from pacs_common.errors import ArgensError, Unavailable
from pacs_common.native_xml import native_xml
from pacs_common.resources import resource_path

# Warning Reason (0008,1196), PS3.18 I.2.2: of an object that is kept, in quarantine. None of the
# defined reasons says it; this one ("data set does not match") is the nearest.
IN_QUARANTINE = 0xB007
JSON, XML = "application/dicom+json", "application/dicom+xml"
_UID = re.compile(r"[0-9.]{1,64}\Z")


@dataclass(frozen=True)
class Kept:
    """An instance that is durable and can be found."""

    sop_class: str
    uid: str
    study: str
    series: str
    warning: int = 0

    @classmethod
    def of(cls, result: Result) -> Kept:
        """Return the account of what `ingest` kept."""
        identity = result.identity
        warning = IN_QUARANTINE if result.outcome is Outcome.QUARANTINED else 0
        study, series = str(identity.study), str(identity.series)
        return cls(identity.sop_class, str(identity.instance), study, series, warning)


@dataclass(frozen=True)
class Failed:
    """A part of which nothing is kept; its names as far as they could be read."""

    sop_class: str
    uid: str
    error: ArgensError

    @property
    def is_named(self) -> bool:
        """True where both names are UIDs, so that they can be answered."""
        return all(_UID.match(name) for name in (self.sop_class, self.uid))


Account = Kept | Failed


def response(request: HttpRequest, accounts: Sequence[Account], form: str = JSON) -> HttpResponse:
    """Return the answer: 200, 202, 409, or 503 where it is the node that has no room or index.

    It is XML (PS3.19 A.1) where `form` says so.
    """
    kept = [one for one in accounts if isinstance(one, Kept)]
    failed = [one for one in accounts if isinstance(one, Failed)]
    if kept:
        is_plain = not failed and not any(one.warning for one in kept)
        status = 200 if is_plain else 202
    else:
        status = 503 if all(isinstance(one.error, Unavailable) for one in failed) else 409
    document = _module(_base(request), kept, failed).to_json_dict()
    is_xml = form == XML
    content = native_xml(document) if is_xml else json.dumps(document).encode()
    answer = HttpResponse(content, status=status, content_type=XML if is_xml else JSON)
    if status == 503:
        answer["Retry-After"] = RETRY_AFTER_S
    return answer


def _base(request: HttpRequest) -> str:
    """Return the root under which the caller finds what it stored."""
    said = request.headers.get("X-Forwarded-Base", "").rstrip("/")
    if said.isprintable() and said.startswith(("http://", "https://")):
        return said
    return request.build_absolute_uri("/dicom-web")


def _module(base: str, kept: Sequence[Kept], failed: Sequence[Failed]) -> Dataset:
    ds = Dataset()
    studies = {one.study for one in kept if one.study}
    if len(studies) == 1:
        ds.RetrieveURL = f"{base}/{resource_path(studies.pop())}"
    if kept:
        ds.ReferencedSOPSequence = [_referenced(base, one) for one in kept]
    named = [one for one in failed if one.is_named]
    others = [one for one in failed if not one.is_named]
    if named:
        ds.FailedSOPSequence = [_failed(one) for one in named]
    if others:
        ds.OtherFailuresSequence = [_reason(one) for one in others]
    return ds


def _referenced(base: str, one: Kept) -> Dataset:
    item = _names(one)
    if one.study:
        item.RetrieveURL = f"{base}/{resource_path(one.study, one.series, one.uid)}"
    if one.warning:
        item.WarningReason = one.warning
    return item


def _failed(one: Failed) -> Dataset:
    item = _names(one)
    item.FailureReason = one.error.dimse_status
    return item


def _reason(one: Failed) -> Dataset:
    item = Dataset()
    item.FailureReason = one.error.dimse_status
    return item


def _names(one: Account) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = one.sop_class
    item.ReferencedSOPInstanceUID = one.uid
    return item
