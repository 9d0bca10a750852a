"""The words of the attribute table: levels, kinds of matching, and what is said of an attribute."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from pydicom.datadict import dictionary_VR, tag_for_keyword

# Columns whose values come from other rows or from the arrival, not from one data set.
DERIVED = {
    "modalities",
    "sop_classes",
    "series_count",
    "instance_count",
    "patient_studies",
    "patient_series",
    "patient_instances",
    "transfer_syntax",
}


class Level(StrEnum):
    """The levels of the Query/Retrieve information models (PS3.4 C.6)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


class Match(StrEnum):
    """How a key is compared (PS3.4 C.2.2.2)."""

    UID = "uid"
    TEXT = "text"  # single value and wild card, as it is written
    LISTED = "listed"  # the same, for any one of several values
    FOLDED = "folded"  # without case and accents
    NAME = "name"
    NAMES = "names"  # any one of several names
    DATE = "date"
    TIME = "time"
    NUMBER = "number"
    MODALITIES = "modalities"
    CLASSES = "classes"
    NONE = "none"  # returned only


@dataclass(frozen=True)
class Attribute:
    """One attribute: its path, level, column of the index, and how it matches."""

    path: str
    level: Level
    column: str
    match: Match = Match.TEXT
    required: bool = False  # returned by QIDO-RS though it is empty

    @property
    def is_shown_only(self) -> bool:
        """True where the value lies in Instance.shown."""
        return self.column == "shown"

    @property
    def is_derived(self) -> bool:
        """True where the value comes from other rows, not from one data set."""
        return self.column in DERIVED

    @property
    def keyword(self) -> str:
        """The keyword of the attribute itself, without the sequence that holds it."""
        return self.path.rpartition(".")[2]

    @property
    def sequence(self) -> str:
        """The keyword of the sequence whose items hold it, "" for none."""
        return self.path.rpartition(".")[0]

    @cached_property
    def vr(self) -> str:
        """The value representation of the attribute itself (PS3.6)."""
        return dictionary_VR(self.keyword)

    @cached_property
    def tag(self) -> int:
        """The tag of the attribute itself."""
        return tag_for_keyword(self.keyword) or 0
