"""What attributes that a correction changes are called, and their values as people read them."""

from __future__ import annotations

from django import template
from django.utils.dateparse import parse_datetime
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from pacs_common.errors import PeerUnreachable
from pacs_web.federation.fan_out import Failure
from pacs_web.templatetags.dicom_text import dicom_date, person

register = template.Library()


@register.filter
def attribute_name(keyword: str) -> str:
    """Return what people call an attribute."""
    return {
        "PatientName": _("Patient name"),
        "PatientID": _("Patient ID"),
        "IssuerOfPatientID": _("Issuer of the ID"),
        "PatientBirthDate": _("Birth date"),
        "PatientSex": _("Sex"),
        "OtherPatientIDs": _("Other IDs"),
        "AccessionNumber": _("Accession number"),
        "StudyDescription": _("Description"),
    }.get(str(keyword), str(keyword))


@register.filter
def attribute_value(value: str, keyword: str) -> str:
    """Return a value as people read it."""
    if not value:
        return _("none")
    if keyword == "PatientName":
        return person(value)
    return dicom_date(value) if keyword == "PatientBirthDate" else value.replace("\\", ", ")


@register.filter
def failure_text(failure: Failure) -> str:
    """Return why a node did not do it: its own words, where it answered."""
    is_silent = failure.error is None or isinstance(failure.error, PeerUnreachable)
    return failure.reason if is_silent else str(failure.error)


@register.filter
def moment(iso: str) -> str:
    """Return an ISO time as day and minute."""
    found = parse_datetime(str(iso or ""))
    return localtime(found).strftime("%d/%m/%Y %H:%M") if found else ""
