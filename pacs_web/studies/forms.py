"""The search form: what a person types, and the QIDO-RS query it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from pacs_web.studies.dates import TypedDateField

MODALITIES = ["CT", "CR", "DX", "RF", "XA", "MR", "US", "MG", "NM", "PT", "OT", "SR", "DOC"]
QUICK_DAYS = {"today": 0, "week": 6, "month": 29}


class SearchForm(forms.Form):
    """Everything that an exam is looked for by; all of it may stay empty."""

    name = forms.CharField(label=_("Patient name"), max_length=64, required=False)
    patient_id = forms.CharField(label=_("Patient ID"), max_length=64, required=False)
    birth_date = TypedDateField(label=_("Birth date"), max_length=10, required=False)
    accession = forms.CharField(label=_("Accession number"), max_length=64, required=False)
    date_from = TypedDateField(label=_("Exam from"), max_length=10, required=False)
    date_to = TypedDateField(label=_("Exam to"), max_length=10, required=False)
    modality = forms.ChoiceField(
        label=_("Modality"),
        choices=[("", _("All")), *((name, name) for name in MODALITIES)],
        required=False,
    )
    description = forms.CharField(label=_("Description"), max_length=64, required=False)
    servers = forms.MultipleChoiceField(
        label=_("Servers"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, servers: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["servers"].choices = [(name, name) for name in servers]
        for name in ("birth_date", "date_from", "date_to"):
            self.fields[name].widget.attrs["placeholder"] = _("dd/mm/yyyy")
            self.fields[name].widget.attrs["inputmode"] = "numeric"
        for field in self.fields.values():
            field.widget.attrs.setdefault("autocomplete", "off")

    def clean_birth_date(self) -> date | None:
        """Refuse a birth date that is still to come."""
        day = self.cleaned_data["birth_date"]
        if day and day > timezone.localdate():
            raise forms.ValidationError(_("This day is still to come."))
        return day

    def clean(self) -> dict[str, Any]:
        """Refuse a range whose end lies before its beginning."""
        cleaned = super().clean() or {}
        first, last = cleaned.get("date_from"), cleaned.get("date_to")
        if first and last and first > last:
            self.add_error("date_to", _("This day lies before the first one."))
        return cleaned

    def qido(self) -> dict[str, str]:
        """Return the QIDO-RS parameters (PS3.18 8.3.4) of a valid form."""
        said = self.cleaned_data
        query = {
            "PatientName": name_pattern(said["name"]),
            "PatientID": said["patient_id"],
            "PatientBirthDate": _dicom(said["birth_date"]),
            "AccessionNumber": said["accession"],
            "StudyDate": date_range(said["date_from"], said["date_to"]),
            "ModalitiesInStudy": said["modality"],
            "StudyDescription": description_pattern(said["description"]),
        }
        return {keyword: value for keyword, value in query.items() if value}


def name_pattern(typed: str) -> str:
    """Return the wildcard pattern of a typed name: `Dupont Marie` finds DUPONT^MARIE.

    Blanks and commas become wildcards, since people do not type DICOM's `^`.
    """
    pattern = re.sub(r"[\s,^]+", "*", typed.strip().rstrip(","))
    if not pattern or pattern.endswith("*") or "*" in typed or "?" in typed:
        return pattern
    return f"{pattern}*"


def description_pattern(typed: str) -> str:
    """Return a pattern that finds the words anywhere in the description."""
    return typed if not typed or "*" in typed or "?" in typed else f"*{typed}*"


def date_range(first: date | None, last: date | None) -> str:
    """Return a DICOM date range (PS3.4 C.2.2.2.5); a single day where both are the same."""
    if first == last:
        return _dicom(first)
    return f"{_dicom(first)}-{_dicom(last)}"


def quick_range(name: str) -> dict[str, str]:
    """Return the two typed dates of a quick button ("today", "week", "month")."""
    today = timezone.localdate()
    first = today - timedelta(days=QUICK_DAYS[name])
    return {"date_from": first.isoformat(), "date_to": today.isoformat()}


def _dicom(day: date | None) -> str:
    return f"{day:%Y%m%d}" if day else ""
