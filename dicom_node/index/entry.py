"""One object as the index takes it: made the same way at arrival and when rebuilding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from dicom_node.config import CONFIG
from dicom_node.index import non_patient
from dicom_node.index.attributes import ATTRIBUTES, Level, columns_of, shown_of
from dicom_node.index.values import bounded
from dicom_node.store.charsets import DEFAULT_FALLBACK
from dicom_node.store.scan import Scanner, Value
from dicom_node.store.texts import CHARSET, Coding, Texts, place_of
from pacs_common.uids import Uid

_SHARED = 256  # studies, and series, whose columns are remembered while their instances come


def _tags_of(levels: set[Level]) -> tuple[int, ...]:
    places = [place_of(a.path) for a in ATTRIBUTES.values() if a.level in levels]
    return tuple(sorted({sequence or tag for sequence, tag, _ in places}))


_STUDY_TAGS = _tags_of({Level.PATIENT, Level.STUDY})
_SERIES_TAGS = _tags_of({Level.SERIES})
WANTED = frozenset(
    {
        CHARSET,
        *_STUDY_TAGS,
        *_SERIES_TAGS,
        *_tags_of({Level.IMAGE}),
        *(place_of(path)[1] for path in non_patient.PATHS),
    }
)


@dataclass(frozen=True)
class Identity:
    """The UIDs that place an object, and the class of it; one of no patient has no study."""

    study: Uid | Literal[""]
    series: Uid | Literal[""]
    instance: Uid
    sop_class: str


@dataclass(frozen=True)
class Stored:
    """Where an object's bytes lie and what they are."""

    hour: str
    arrived_at: datetime
    size_bytes: int
    received_sha256: str
    transfer_syntax: str
    source_ae: str


@dataclass(frozen=True)
class Entry:
    """The columns of one object's rows; `patient` is its key (issuer, Patient ID).

    An object of no patient has neither study nor series, and its own row in `instance`.
    """

    identity: Identity
    patient: tuple[str, str]
    study: dict[str, Any]
    series: dict[str, Any]
    instance: dict[str, Any]
    stored: Stored

    @property
    def uid(self) -> Uid:
        """The SOP Instance UID."""
        return self.identity.instance

    @property
    def is_of_a_patient(self) -> bool:
        """False for an object that belongs to no study (PS3.4 GG)."""
        return bool(self.identity.study)

    def sized(self, size_bytes: int) -> Entry:
        """Return the entry with the size of the whole file."""
        return replace(
            self,
            stored=replace(self.stored, size_bytes=size_bytes),
            instance=self.instance | {"size_bytes": size_bytes},
        )


def identity_of(scanned: Scanner) -> Identity:
    """Return the UIDs of what was scanned; raises MissingUid or UnsafeUid."""
    sop_class, instance = sop_of(scanned)
    if sop_class in non_patient.CLASSES:
        return Identity("", "", instance, sop_class)
    text = Texts(scanned.values, Coding(scanned.is_implicit, scanned.is_little_endian))
    return Identity(
        study=Uid.parse(text("StudyInstanceUID"), "Study Instance UID"),
        series=Uid.parse(text("SeriesInstanceUID"), "Series Instance UID"),
        instance=instance,
        sop_class=sop_class,
    )


def sop_of(scanned: Scanner) -> tuple[Uid, Uid]:
    """Return (SOP Class UID, SOP Instance UID); raises MissingUid or UnsafeUid."""
    text = Texts(scanned.values, Coding(scanned.is_implicit, scanned.is_little_endian))
    return (
        Uid.parse(text("SOPClassUID"), "SOP Class UID"),
        Uid.parse(text("SOPInstanceUID"), "SOP Instance UID"),
    )


def entry_of(
    scanned: Scanner, identity: Identity, stored: Stored, fallback_charset: str = DEFAULT_FALLBACK
) -> Entry:
    """Return the entry of a scanned data set."""
    values = scanned.values
    charset = values[CHARSET].raw.decode("latin_1") if CHARSET in values else ""
    coding = Coding(scanned.is_implicit, scanned.is_little_endian, charset, fallback_charset)
    if not identity.study:
        columns = non_patient.columns_of(Texts(values, coding))
        row = columns | _kept(stored) | {"uid": identity.instance, "sop_class": identity.sop_class}
        return Entry(identity, ("", ""), {}, {}, row, stored)
    study, patient, is_study_guessed = _study_of(_of_tags(values, _STUDY_TAGS), coding)
    series, is_series_guessed = _series_of(_of_tags(values, _SERIES_TAGS), coding)
    text = Texts(values, coding)
    instance = (
        columns_of(text, {Level.IMAGE})
        | _kept(stored)
        | {
            "shown": shown_of(text),
            "charset_guessed": text.is_guessed or is_study_guessed or is_series_guessed,
            "nonstandard_uid": not all(
                uid.is_standard for uid in (identity.study, identity.series, identity.instance)
            ),
        }
    )
    return Entry(identity, patient, study, series, instance, stored)


def _kept(stored: Stored) -> dict[str, Any]:
    return {
        "transfer_syntax": stored.transfer_syntax,
        "hour": stored.hour,
        "arrived_at": stored.arrived_at,
        "size_bytes": stored.size_bytes,
        "received_sha256": stored.received_sha256,
        "source_ae": stored.source_ae,
    }


@lru_cache(_SHARED)
def _study_of(
    values: tuple[tuple[int, Value], ...], coding: Coding
) -> tuple[dict[str, Any], tuple[str, str], bool]:
    """Return (columns, patient key, whether a text was guessed): a study's instances share them.

    A missing issuer is the hospital's own (custody rule 12).
    """
    text = Texts(dict(values), coding)
    columns = columns_of(text, {Level.PATIENT, Level.STUDY})
    columns["issuer"] = columns["issuer"] or bounded(CONFIG.default_issuer)
    return columns, (columns["issuer"], columns["patient_id"]), text.is_guessed


@lru_cache(_SHARED)
def _series_of(
    values: tuple[tuple[int, Value], ...], coding: Coding
) -> tuple[dict[str, Any], bool]:
    text = Texts(dict(values), coding)
    columns = columns_of(text, {Level.SERIES})
    columns["modality"] = columns["modality"].upper()
    return columns, text.is_guessed


def _of_tags(values: Mapping[int, Value], tags: Iterable[int]) -> tuple[tuple[int, Value], ...]:
    return tuple((tag, values[tag]) for tag in tags if tag in values)
