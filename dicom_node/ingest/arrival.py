"""What comes in through a door, before anything is decided about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from dicom_node.store.charsets import DEFAULT_FALLBACK


@dataclass(frozen=True)
class Origin:
    """What the sender said of an object that is about to come, and how to read it.

    `study` is the only study that it may belong to, "" for any; `stored_by` the person who sent it.
    `fallback_charset` is the Specific Character Set of texts whose own is absent or wrong;
    `non_patient_objects` tells that this sender's objects of no patient are kept.
    """

    transfer_syntax: str
    affected_class: str = ""
    affected_uid: str = ""
    source_ae: str = ""
    called_ae: str = ""
    study: str = ""
    stored_by: str = ""
    fallback_charset: str = DEFAULT_FALLBACK
    non_patient_objects: bool = False
    arrived_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Arrival:
    """An object that has come whole: its encoded data set (no group 0002) and its origin."""

    def __init__(self, data_set: bytes, transfer_syntax: str, **said: object) -> None:
        self.data_set = data_set
        self.origin = Origin(transfer_syntax, **said)
