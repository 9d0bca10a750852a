"""DICOM's ways of writing, as people read them: names, dates, times, sizes."""

from __future__ import annotations

from datetime import time, timedelta
from math import ceil

from django import template
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pacs_web import amounts
from pacs_web.federation.dicom_json import day

register = template.Library()


@register.filter
def person(raw: str) -> str:
    """Return `Lefèvre^Hélène^^Dr` as `LEFÈVRE Hélène`."""
    parts = [part.strip() for part in str(raw or "").split("=")[0].split("^")]
    family, given = parts[0].upper(), " ".join(part for part in parts[1:3] if part)
    return f"{family} {given}".strip() or _("No name")


@register.filter
def dicom_date(raw: str) -> str:
    """Return 20260228 as the language writes it; nonsense stays as it is."""
    found = day(str(raw or ""))
    return date_format(found, "d/m/Y") if found else str(raw or "")


@register.filter
def dicom_time(raw: str) -> str:
    """Return 081530.25 as 08:15."""
    digits = str(raw or "").replace(":", "")
    try:
        return time(int(digits[:2]), int(digits[2:4] or 0)).strftime("%H:%M")
    except ValueError:
        return ""


@register.filter
def age_at(birth_date: str, on: str) -> str:
    """Return the age in years on the day `on` ("" where one of the days is unknown)."""
    born, then = day(str(birth_date or "")), day(str(on or ""))
    if not born or not then or then < born:
        return ""
    years = then.year - born.year - ((then.month, then.day) < (born.month, born.day))
    return ngettext("%(n)d year", "%(n)d years", years) % {"n": years}


@register.filter
def size(count: object) -> str:
    """Return a count of bytes in decimal units, as disks are sold."""
    return amounts.size(count)


@register.filter
def minutes(duration: timedelta) -> str:
    """Return a duration in whole minutes, rounded up."""
    count = ceil(duration.total_seconds() / 60)
    return ngettext("%(n)d minute", "%(n)d minutes", count) % {"n": count}


@register.filter
def availability_label(value: str) -> str:
    """Return what an Instance Availability means to a person."""
    return {
        "ONLINE": _("Online"),
        "NEARLINE": _("In the archive"),
        "OFFLINE": _("On the shelf"),
        "UNAVAILABLE": _("Unavailable"),
    }.get(str(value), str(value))
