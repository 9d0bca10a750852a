"""The patients of a medium, and what was chosen for each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from pacs_common.errors import BadInput
from pacs_web.arrivals.importing.sending import patient_of
from pacs_web.arrivals.importing.spool import Import

MAX_ISSUER_CHARS = 64
_VALUES = {
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
}


@dataclass
class OnMedium:
    """One patient as the medium names it, with the exams there."""

    number: int
    facts: dict[str, Any]
    exams: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def suggested_issuer(self) -> str:
        """The medium's own issuer, else the institution that wrote it."""
        return str(self.facts["issuer"] or self.facts["institution"] or "")[:MAX_ISSUER_CHARS]


def on_medium(one: Import) -> list[OnMedium]:
    """Return the patients of an import, in the order in which they came."""
    found: dict[str, OnMedium] = {}
    for told in one.files():
        if not told.get("file"):
            continue
        patient = found.setdefault(patient_of(told), OnMedium(len(found), told))
        exam = patient.exams.setdefault(told["study_uid"], {**told, "images": 0})
        exam["images"] += 1
    return list(found.values())


def plan_of(patients: list[OnMedium], said: QueryDict, *, may_choose: bool) -> dict[str, Any]:
    """Return what a person confirmed; raises BadInput where something is missing."""
    if said.get("sure") != "yes":
        raise BadInput(_("confirm that the patients are right"))
    chosen = {}
    for patient in patients:
        issuer = " ".join(said.get(f"issuer-{patient.number}", "").split())[:MAX_ISSUER_CHARS]
        if not issuer and not patient.facts["issuer"]:
            raise BadInput(_("say who gave the patient's number on the medium"))
        values = _values(said.get(f"patient-{patient.number}", ""))
        if values and not may_choose:
            raise BadInput(_("only who may correct identities may choose another patient"))
        key = patient_of(patient.facts)
        chosen[key] = {"issuer": patient.facts["issuer"] or issuer, "values": values}
    return {"patients": chosen}


def _values(packed: str) -> dict[str, str]:
    if not packed:
        return {}
    try:
        told = json.loads(packed)
        found = {key: str(told[key]) for key in _VALUES}
    except (ValueError, KeyError, TypeError):
        raise BadInput(_("this is no patient")) from None
    if not isinstance(told, Mapping) or not found["PatientID"]:
        raise BadInput(_("this is no patient"))
    return found
