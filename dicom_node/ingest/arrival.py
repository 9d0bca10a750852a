"""What comes in through a door, before anything is decided about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True)
class Arrival:
    """An object as it came: its encoded data set (no group 0002) and what the sender said."""

    data_set: bytes
    transfer_syntax: str
    affected_class: str = ""
    affected_uid: str = ""
    source_ae: str = ""
    called_ae: str = ""
    arrived_at: datetime = field(default_factory=lambda: datetime.now(UTC))
