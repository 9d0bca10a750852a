"""What a restore can read of the vaults now, what it must wait for, and what it has given up."""

from __future__ import annotations

from datetime import datetime

from archive_node.models import Copy
from archive_node.steps.whereabouts import Place


class Reach:
    """Volumes and members that were set aside: for a person, for a store, or for good."""

    def __init__(self) -> None:
        self._over: dict[Place, str] = {}
        self._shelved: set[Place] = set()
        self._thawing: dict[int, datetime | None] = {}  # copies
        self._tried: set[int] = set()

    @property
    def aside(self) -> set[Place]:
        """The volumes that are not to be visited."""
        return self._shelved | set(self._over)

    def give_up(self, place: Place, why: str) -> None:
        """Read no more of a volume."""
        self._over[place] = why

    def shelve(self, place: Place) -> None:
        """Leave a volume until a person brings it."""
        self._shelved.add(place)

    def thaw(self, copy: Copy, until: datetime | None) -> None:
        """Leave a member until its store has made it readable."""
        self._thawing[copy.id] = until

    def note_tried(self, copy: Copy) -> None:
        """Read no more of a member, unless it is thawing."""
        self._tried.add(copy.id)

    def is_left(self, copy: Copy) -> bool:
        """Whether a member may be read now."""
        is_aside = copy.id in self._thawing or Place.of_copy(copy) in self.aside
        return copy.id not in self._tried and not is_aside

    def waits(self, copy: Copy) -> bool:
        """Whether a member can be read once somebody, or its store, has brought it."""
        return copy.id in self._thawing or Place.of_copy(copy) in self._shelved

    def place_of(self, copy: Copy) -> Place | None:
        """Return the volume on the shelf that a member waits for, None where it thaws."""
        return None if copy.id in self._thawing else Place.of_copy(copy)

    def until(self, copy: Copy) -> datetime | None:
        """Return when a member should be readable, as far as its store tells."""
        return self._thawing.get(copy.id)

    def why(self, place: Place) -> str:
        """Return why a volume was not read."""
        if place in self._shelved:
            return f"volume {place.label} of {place.vault} lies on the shelf"
        return self._over.get(place, "not read")
