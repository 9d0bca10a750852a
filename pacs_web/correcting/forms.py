"""The form of a correction: the identity that an exam is to show, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from pacs_web.federation.dicom_json import day
from pacs_web.studies.dates import TypedDateField

IDENTITY, MOVED = "identity", "moved"
KINDS = [
    (IDENTITY, _("The same patient: the identity was wrong")),
    (MOVED, _("Another patient: the exam was made under a wrong name")),
]
SEXES = [("", _("Not known")), ("F", _("Female")), ("M", _("Male")), ("O", _("Other"))]
# Field by keyword, in the order of the page.
FIELDS = {
    "PatientName": "name",
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "OtherPatientIDs": "other_ids",
    "AccessionNumber": "accession",
    "StudyDescription": "description",
}


class IdentityForm(forms.Form):
    """What the exam is to show; a node refuses what does not fit DICOM."""

    kind = forms.ChoiceField(label=_("What happened"), choices=KINDS, widget=forms.RadioSelect)
    name = forms.CharField(label=_("Patient name"), max_length=194)
    patient_id = forms.CharField(label=_("Patient ID"), max_length=64)
    issuer = forms.CharField(label=_("Issuer of the ID"), max_length=64, required=False)
    birth_date = TypedDateField(label=_("Birth date"), max_length=10, required=False)
    sex = forms.ChoiceField(label=_("Sex"), choices=SEXES, required=False)
    other_ids = forms.CharField(label=_("Other IDs"), max_length=255, required=False)
    accession = forms.CharField(label=_("Accession number"), max_length=16, required=False)
    description = forms.CharField(label=_("Description"), max_length=64, required=False)
    why = forms.CharField(label=_("Reason"), max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hints = {
            "name": _("FAMILY^Given"),
            "birth_date": _("dd/mm/yyyy"),
            "other_ids": _("separated by commas"),
            "why": _("wrong worklist entry chosen, name misspelt…"),
        }
        for name, hint in hints.items():
            self.fields[name].widget.attrs["placeholder"] = hint
        for field in self.fields.values():
            field.widget.attrs.setdefault("autocomplete", "off")
            field.widget.attrs.setdefault("spellcheck", "false")

    def clean_name(self) -> str:
        """Take `Dupont, Marie` for DICOM's `Dupont^Marie`."""
        return re.sub(r"\s*,\s*", "^", self.cleaned_data["name"].strip(), count=1)

    def clean_birth_date(self) -> date | None:
        """Refuse a birth date that is still to come."""
        found = self.cleaned_data["birth_date"]
        if found and found > timezone.localdate():
            raise forms.ValidationError(_("This day is still to come."))
        return found

    def values(self) -> dict[str, str]:
        """Return what the nodes are asked to show, by keyword."""
        said = self.cleaned_data
        found = {keyword: str(said[name] or "") for keyword, name in FIELDS.items()}
        born = said["birth_date"]
        found["PatientBirthDate"] = f"{born:%Y%m%d}" if born else ""
        ids = [part.strip() for part in re.split(r"[,\\]", said["other_ids"]) if part.strip()]
        found["OtherPatientIDs"] = "\\".join(ids)
        return found


class FindForm(forms.Form):
    """A patient who is looked for, by name or by number."""

    find = forms.CharField(label=_("Find the right patient"), max_length=64)

    def query(self) -> dict[str, str]:
        """Return the QIDO-RS parameters: what holds a digit is a Patient ID."""
        typed = self.cleaned_data["find"].strip()
        if any(one.isdigit() for one in typed):
            return {"PatientID": typed if "*" in typed else f"{typed}*"}
        pattern = re.sub(r"[\s,^]+", "*", typed)
        return {"PatientName": pattern if pattern.endswith("*") else f"{pattern}*"}


def typed(shown: Mapping[str, str]) -> dict[str, str]:
    """Return the fields as a person types them, of values by keyword."""
    found = {name: shown[keyword] for keyword, name in FIELDS.items() if keyword in shown}
    if born := day(found.get("birth_date", "")):
        found["birth_date"] = f"{born:%d/%m/%Y}"
    if "other_ids" in found:
        found["other_ids"] = found["other_ids"].replace("\\", ", ")
    return found
