"""What is said of two objects or patients, paired for a page, and where they disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

FACTS: list[tuple[str, Promise, str]] = [
    ("patient_name", _("Patient"), "person"),
    ("patient_id", _("Patient ID"), "code"),
    ("issuer", _("Issuer"), "code"),
    ("birth_date", _("Born"), "date"),
    ("sex", _("Sex"), ""),
    ("study_date", _("Exam"), "date"),
    ("study_description", _("Description"), ""),
    ("accession_number", _("Accession"), "code"),
    ("modality", _("Modality"), ""),
    ("series_description", _("Series"), ""),
    ("instance_number", _("Image no."), ""),
]


@dataclass(frozen=True)
class Fact:
    """One line of a comparison; `kind` says how its values are written."""

    title: Promise
    kind: str
    one: str
    other: str
    differs: bool


def facts_of(one: Mapping[str, str] | None, other: Mapping[str, str]) -> list[Fact]:
    """Return the lines of which at least one side says something.

    Lines that one side does not know of at all (a study knows no image number) do not differ.
    """
    known = one or {}
    found = []
    for name, title, kind in FACTS:
        left, right = str(known.get(name, "")), str(other.get(name, ""))
        if left or right:
            differs = name in known and left.strip() != right.strip()
            found.append(Fact(title, kind, left, right, differs))
    return found
