"""The columns of a study that corrections change: what is shown, and what its objects say.

What the objects say is kept beside what is shown, so that late instances fill its blanks as ever,
an undo finds it, and an index made anew comes to the same (custody rules 2, 6 and 10).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dicom_node.config import CONFIG
from dicom_node.index.attributes import ATTRIBUTES, Level, columns_of, columns_of_path
from dicom_node.index.values import bounded
from dicom_node.models import Study
from dicom_node.overlay.attributes import CORRECTABLE, OF_THE_PERSON, OTHER_IDS, Values
from dicom_node.overlay.chain import Change, Key, unpacked

_LEVELS = frozenset({Level.PATIENT, Level.STUDY})
_OTHER_IDS = [path for path in ATTRIBUTES if path.startswith(f"{OTHER_IDS}.")]
_PATHS = [path for path in (*CORRECTABLE, *OF_THE_PERSON, *_OTHER_IDS) if path in ATTRIBUTES]
COLUMNS = tuple(dict.fromkeys(name for path in _PATHS for name in columns_of_path(path)))
BLANK = ("", None)


@dataclass
class Original:
    """What a study's objects say; `bears` are the other patient keys that some of them bear."""

    columns: dict[str, Any]
    bears: set[Key] = field(default_factory=set)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Original:
        """Return it for a study's row, corrected or not."""
        if not row["original"]:
            return cls({name: row[name] for name in COLUMNS})
        told = json.loads(row["original"])
        return cls(told["columns"], {(issuer, one) for issuer, one in told["bears"]})

    @property
    def key(self) -> Key:
        """The patient key of the objects that came first."""
        return self.columns["issuer"], self.columns["patient_id"]

    def packed(self) -> str:
        """Return it as a study's row holds it."""
        return json.dumps({"columns": self.columns, "bears": sorted(self.bears)}, sort_keys=True)

    def take(self, columns: Mapping[str, Any], patient: Key) -> None:
        """Fill blanks with what an object of the study says; of another key, note that alone."""
        if patient != self.key:
            self.bears.add(patient)
            return
        for name in COLUMNS:
            if columns[name] not in BLANK and self.columns[name] in BLANK:
                self.columns[name] = columns[name]


def said_by_objects(study: Study) -> dict[str, Any]:
    """Return what a study's objects say of the columns that corrections may change."""
    row = {name: getattr(study, name) for name in (*COLUMNS, "original")}
    return Original.of(row).columns


def corrected_row(original: Original, overlay: str) -> dict[str, Any]:
    """Return the columns of a study's row under these corrections; without any, as it was."""
    told = {"overlay": overlay, "original": original.packed() if overlay else ""}
    return original.columns | shown(unpacked(overlay)) | told


def shown(changes: Iterable[Change]) -> dict[str, Any]:
    """Return the columns that corrections set, the last one counting."""
    texts: dict[str, str] = {}
    for change in changes:
        texts |= _texts(change.values)
    every = columns_of(lambda path: texts.get(path, ""), _LEVELS)
    every["issuer"] = every["issuer"] or bounded(CONFIG.default_issuer)
    names = [name for path in texts for name in columns_of_path(path)]
    return {name: every[name] for name in names}


def accepts(row: Mapping[str, Any], patient: Key) -> bool:
    """Whether an object of this patient key belongs to a corrected study.

    Those of the original key do, and those of any key that a correction in force took or gave.
    """
    keys = {key for change in unpacked(row["overlay"]) for key in (change.before, change.after)}
    return patient in keys or patient == Original.of(row).key


def joined(row: Mapping[str, Any], columns: Mapping[str, Any], patient: Key) -> dict[str, Any]:
    """Return what changes in a corrected study's row when an object joins it."""
    original = Original.of(row)
    original.take(columns, patient)
    fresh = corrected_row(original, row["overlay"])
    blanks = {
        name: value
        for name, value in columns.items()
        if name not in COLUMNS and value not in BLANK and row[name] in BLANK
    }
    return blanks | {name: value for name, value in fresh.items() if row[name] != value}


def _texts(values: Values) -> dict[str, str]:
    """Return the texts of the attributes that the index knows, by path."""
    found = {path: text or "" for path, text in values.items() if path in ATTRIBUTES}
    if "OtherPatientIDs" in values:
        count = len([one for one in (values["OtherPatientIDs"] or "").split("\\") if one])
        found |= {path: "" for path in _OTHER_IDS}
        found[f"{OTHER_IDS}.PatientID"] = values["OtherPatientIDs"] or ""
        found[f"{OTHER_IDS}.TypeOfPatientID"] = "\\".join(["TEXT"] * count)
    elif OTHER_IDS in values:
        found |= {path: "" for path in _OTHER_IDS}
    return found
