"""A study as rules see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """A study as its node last described it, and what this archive knows of it.

    `proven_in` names the vaults in which all of it is proven; `held` says why it is held, by a
    person or by its node; sizes in bytes, DICOM dates as they came.
    """

    node: str
    study_uid: str
    instances: int
    online: int
    size_bytes: int
    online_bytes: int
    digests_ready: bool
    last_arrival_at: datetime
    last_access_at: datetime | None = None
    recalled_at: datetime | None = None
    quarantined: int = 0
    quarantine_files: int = 0
    incomplete: bool = False
    held: str = ""
    proven_in: frozenset[str] = frozenset()
    modalities: tuple[str, ...] = ()
    department: str = ""
    description: str = ""
    study_date: str = ""
    birth_date: str = ""

    @property
    def last_used_at(self) -> datetime:
        """Return when somebody last sent it, read it or wanted it back."""
        moments = (self.last_arrival_at, self.last_access_at, self.recalled_at)
        return max(moment for moment in moments if moment is not None)
