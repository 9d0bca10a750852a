"""Documents and films by /rendered: sent as they are, whole or in ranges (PS3.18 8.7.4)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from dicom_node.dicomweb.accept import Offer, best
from dicom_node.dicomweb.conditional import not_modified, stamped, tag
from dicom_node.dicomweb.ranges import Extract, ranged
from dicom_node.models import Instance
from dicom_node.prepared.contents import content_of, is_document, is_film


def is_sent_as_it_is(instance: Instance) -> bool:
    """Return whether an instance is a document or a film, and no image."""
    return is_document(instance.sop_class) or is_film(instance.transfer_syntax)


def answer(request: HttpRequest, instance: Instance) -> HttpResponseBase:
    """Answer a document's or a film's bytes; raises NotAcceptable where the caller wants others."""
    content = content_of(instance)
    try:
        best(request, [Offer(content.media_type)])
        etag = tag("content", instance.received_sha256)
        unchanged = not_modified(request, etag)
    except BaseException:
        content.file.close()
        raise
    if unchanged is not None:
        content.file.close()
        return unchanged
    extract = Extract(content.file, content.stretches)
    made = ranged(request, extract, content.media_type, etag=etag)
    made["X-Picture-Instance"] = instance.uid
    return stamped(made, etag)
