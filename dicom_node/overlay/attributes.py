"""What a correction may change, as a table, and the elements that its values become.

PS3.3 C.7.1.1 (Patient), C.7.1.4, 10.14 (Issuer of Patient ID), C.7.2.1 (General Study).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword

QUALIFIERS = "IssuerOfPatientIDQualifiersSequence"
OTHER_IDS = "OtherPatientIDsSequence"
# By keyword, or by a path into the one item of a sequence; in the order of a form.
CORRECTABLE = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    f"{QUALIFIERS}.UniversalEntityID",
    f"{QUALIFIERS}.UniversalEntityIDType",
    "PatientBirthDate",
    "PatientSex",
    "OtherPatientIDs",
    "AccessionNumber",
    "StudyDescription",
)
# What else tells of the person: it is the wrong person's where a study is moved to another one.
# Size and weight are left: they were measured, and doses and uptakes were computed with them.
OF_THE_PERSON = (
    "PatientBirthTime",
    "PatientBirthName",
    "PatientMotherBirthName",
    "OtherPatientNames",
    "PatientAge",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientTelecomInformation",
    "PatientInsurancePlanCodeSequence",
    "PatientPrimaryLanguageCodeSequence",
    "MilitaryRank",
    "BranchOfService",
    "CountryOfResidence",
    "RegionOfResidence",
    "MedicalRecordLocator",
    "ReferencedPatientPhotoSequence",
    "ReferencedPatientSequence",
    "TypeOfPatientID",
    "EthnicGroup",
    "Occupation",
    "SmokingStatus",
    "AdditionalPatientHistory",
    "PregnancyStatus",
    "LastMenstrualDate",
    "PatientReligiousPreference",
    "PatientComments",
    "MedicalAlerts",
    "Allergies",
    "PatientState",
    "SpecialNeeds",
    OTHER_IDS,
    QUALIFIERS,
)
Values = Mapping[str, str | None]  # what is shown instead; None: the element is left out
_TEXT_ID = "TEXT"  # Type of Patient ID (0010,0022)


class Leaf(NamedTuple):
    """One element of text: in a data set, or in the item of a sequence."""

    tag: int
    vr: bytes
    text: str


class Edit(NamedTuple):
    """What becomes of one element: a text, the items of a sequence, or nothing."""

    tag: int
    vr: bytes
    text: str | None
    items: tuple[tuple[Leaf, ...], ...] = ()

    @property
    def removes(self) -> bool:
        """Whether the element is left out."""
        return self.text is None and not self.items

    @property
    def texts(self) -> list[str]:
        """All texts that must be written."""
        return [self.text or "", *(leaf.text for item in self.items for leaf in item)]


def edits_of(values: Values) -> list[Edit]:
    """Return what becomes of each element, in the order of the tags."""
    found: dict[int, Edit] = {}
    qualifiers: list[Leaf] = []
    for path, text in values.items():
        sequence, _, keyword = path.rpartition(".")
        if not sequence:
            found[tag_of(keyword)] = _edit(keyword, text)
        elif text:
            qualifiers.append(_leaf(keyword, text))
    if qualifiers:
        found[tag_of(QUALIFIERS)] = _sequence(QUALIFIERS, [qualifiers])
    if "OtherPatientIDs" in values:  # retired, and still asked for: both are written
        ids = [text for text in (values["OtherPatientIDs"] or "").split("\\") if text]
        items = [[_leaf("PatientID", one), _leaf("TypeOfPatientID", _TEXT_ID)] for one in ids]
        found[tag_of(OTHER_IDS)] = _sequence(OTHER_IDS, items)
        if not ids:
            found[tag_of("OtherPatientIDs")] = _edit("OtherPatientIDs", None)
    return [found[tag] for tag in sorted(found)]


@lru_cache
def tag_of(keyword: str) -> int:
    """Return the tag of a keyword; raises KeyError."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def vr_of(keyword: str) -> bytes:
    """Return the VR of a keyword by the dictionary."""
    return dictionary_VR(tag_of(keyword)).encode("ascii")


def _edit(keyword: str, text: str | None) -> Edit:
    return Edit(tag_of(keyword), vr_of(keyword), text)


def _leaf(keyword: str, text: str) -> Leaf:
    return Leaf(tag_of(keyword), vr_of(keyword), text)


def _sequence(keyword: str, items: list[list[Leaf]]) -> Edit:
    return Edit(tag_of(keyword), b"SQ", None, tuple(tuple(sorted(item)) for item in items))
