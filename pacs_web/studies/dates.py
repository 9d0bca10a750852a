"""Reads the dates that people type: 2026-02-28, 28/02/2026, 28.02.2026 or 20260228."""

from __future__ import annotations

import re
from datetime import date

from django import forms
from django.utils.translation import gettext_lazy as _

_FORMS = [
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})\Z", re.ASCII),
    re.compile(r"(?P<day>\d{1,2})[/.](?P<month>\d{1,2})[/.](?P<year>\d{4})\Z", re.ASCII),
    re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})\Z", re.ASCII),
]
EARLIEST = date(1850, 1, 1)


def read_date(typed: str) -> date:
    """Return the date that was typed; ValueError where there is no such day."""
    for form in _FORMS:
        if found := form.match(typed.strip()):
            day = date(int(found["year"]), int(found["month"]), int(found["day"]))
            if day < EARLIEST:
                raise ValueError("before any patient was born")
            return day
    raise ValueError("not a date")


class TypedDateField(forms.CharField):
    """A date as people type it; what is no day of the calendar gets a message beside it."""

    def clean(self, value: object) -> date | None:  # type: ignore[override]
        """Return the day, None where nothing was typed."""
        typed = super().clean(value)
        if not typed:
            return None
        try:
            return read_date(typed)
        except ValueError:
            raise forms.ValidationError(
                _("There is no such day. Write it like 28/02/2026 or 2026-02-28.")
            ) from None
