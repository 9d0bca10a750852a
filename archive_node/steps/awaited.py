"""What a restore waits for, and who brings it: volumes of the shelf, and cold storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from archive_node.steps.whereabouts import Place


@dataclass
class Awaited:
    """The volumes that a person must bring, and the members that stores are restoring."""

    studies: dict[str, str] = field(default_factory=dict)  # that wait, and what for
    volumes: set[Place] = field(default_factory=set)
    thawing: set[int] = field(default_factory=set)  # copies
    until: datetime | None = None  # when the first of them should be readable

    def add_volume(self, study_uid: str, place: Place) -> None:
        """Note that a study waits for a volume of the shelf."""
        self.volumes.add(place)
        self.studies[study_uid] = f"volume {place.label} of {place.vault} lies on the shelf"

    def add_thawing(self, study_uid: str, copy_id: int, until: datetime | None) -> None:
        """Note that a study waits for a member that its store is restoring."""
        self.thawing.add(copy_id)
        self._expect(until)
        when = f", until about {until:%Y-%m-%d %H:%M} UTC" if until else ""
        self.studies.setdefault(study_uid, f"it is being restored from cold storage{when}")

    def join(self, other: Awaited) -> None:
        """Note what some others wait for too."""
        self.studies |= other.studies
        self.volumes |= other.volumes
        self.thawing |= other.thawing
        self._expect(other.until)

    def _expect(self, until: datetime | None) -> None:
        if until is not None:
            self.until = until if self.until is None else min(self.until, until)


class Waits(Protocol):
    """Who waits on behalf of a restore, and tells the operator."""

    def ask(self, place: Place) -> None:
        """Ask for a volume of the shelf; a restore goes on with others meanwhile."""

    def keep_asking(self) -> None:
        """Show that it still waits for what it asked for; called at each step."""

    def wait(self, awaited: Awaited) -> None:
        """Return once something that is awaited may be there."""
