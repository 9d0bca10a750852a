"""One object as the index takes it: made the same way at arrival and when rebuilding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset

from dicom_node.config import CONFIG
from dicom_node.index.attributes import Level, columns_of, shown_of, text_of
from pacs_common.uids import Uid


@dataclass(frozen=True)
class Identity:
    """The UIDs that place an object, and the class of it."""

    study: Uid
    series: Uid
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
    """The columns of one object's rows; `patient` is its key (issuer, Patient ID)."""

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

    def sized(self, size_bytes: int) -> Entry:
        """Return the entry with the size of the whole file."""
        return replace(
            self,
            stored=replace(self.stored, size_bytes=size_bytes),
            instance=self.instance | {"size_bytes": size_bytes},
        )


def identify(ds: Dataset) -> Identity:
    """Return the UIDs of a data set; raises MissingUid or UnsafeUid."""
    return Identity(
        study=Uid.parse(text_of(ds, "StudyInstanceUID"), "Study Instance UID"),
        series=Uid.parse(text_of(ds, "SeriesInstanceUID"), "Series Instance UID"),
        instance=Uid.parse(text_of(ds, "SOPInstanceUID"), "SOP Instance UID"),
        sop_class=Uid.parse(text_of(ds, "SOPClassUID"), "SOP Class UID"),
    )


def patient_key(ds: Dataset) -> tuple[str, str]:
    """Return (issuer, Patient ID); a missing issuer is the hospital's own (custody rule 12)."""
    issuer = text_of(ds, "IssuerOfPatientID") or CONFIG.default_issuer
    return issuer, text_of(ds, "PatientID")


def entry_of(ds: Dataset, stored: Stored) -> Entry:
    """Return the entry of a parsed data set."""
    identity = identify(ds)
    study = columns_of(ds, {Level.PATIENT, Level.STUDY})
    study["issuer"] = patient_key(ds)[0]
    series = columns_of(ds, {Level.SERIES})
    series["modality"] = series["modality"].upper()
    instance = columns_of(ds, {Level.IMAGE}) | {
        "transfer_syntax": stored.transfer_syntax,
        "shown": shown_of(ds),
        "hour": stored.hour,
        "arrived_at": stored.arrived_at,
        "size_bytes": stored.size_bytes,
        "received_sha256": stored.received_sha256,
        "source_ae": stored.source_ae,
        "nonstandard_uid": not all(
            uid.is_standard for uid in (identity.study, identity.series, identity.instance)
        ),
    }
    return Entry(identity, patient_key(ds), study, series, instance, stored)
