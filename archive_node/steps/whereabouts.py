"""Where the bytes of a study may be read, the readiest place first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from archive_node import library
from archive_node.catalogue import Key
from archive_node.models import CopiedInstance, Copy
from archive_node.vault.base import Volume, VolumeState

COLD_CLASSES = {"GLACIER", "DEEP_ARCHIVE"}  # S3: hours pass before they can be read


class Readiness(IntEnum):
    """How soon a volume can be read; the lower, the sooner."""

    MOUNTED = 0
    IN_LIBRARY = 1
    COLD = 2
    ON_SHELF = 3  # a person must act
    SUSPECT = 4  # only where nothing else is left


@dataclass(frozen=True, order=True)
class Place:
    """One volume of one vault."""

    vault: str
    label: str

    @classmethod
    def of(cls, row: CopiedInstance) -> Place:
        """Return where an instance's copy lies."""
        return cls.of_copy(row.copy)

    @classmethod
    def of_copy(cls, copy: Copy) -> Place:
        """Return where a copy lies."""
        return cls(copy.vault, copy.volume)


def proven_copies(node: str, study_uid: str) -> dict[Key, list[CopiedInstance]]:
    """Return every verified copy of each instance of a study, in all vaults, the newest first."""
    rows = CopiedInstance.objects.filter(
        copy__node=node,
        copy__study_uid=study_uid,
        copy__bad_since=None,
        copy__verified_at__isnull=False,
    )
    found: dict[Key, list[CopiedInstance]] = {}
    for row in rows.select_related("copy").order_by("-copy__written_at", "-id"):
        found.setdefault((row.sop_instance_uid, row.stored_sha256), []).append(row)
    return found


class Whereabouts:
    """Which volumes are there now, and how soon each can be read."""

    def __init__(self) -> None:
        specs = library.specs()
        self._order = {name: number for number, name in enumerate(specs)}
        self._known: dict[Place, Readiness | None] = {}
        answering, self._missing = library.answering()
        for vault in answering:
            cold = specs[vault.name].text("storage_class").upper() in COLD_CLASSES
            for volume in vault.volumes():
                self._known[Place(vault.name, volume.label)] = _readiness(volume, cold)

    def readiness(self, place: Place) -> Readiness | None:
        """Return how soon a volume can be read; None where it cannot."""
        return self._known.get(place)

    def ranked(self, rows: Iterable[CopiedInstance]) -> list[CopiedInstance]:
        """Return the copies that can be read, the readiest first, equals in their order."""
        ranks = {place: rank for place, rank in self._known.items() if rank is not None}
        there = (row for row in rows if Place.of(row) in ranks)
        return sorted(there, key=lambda row: ranks[Place.of(row)])

    def absence(self, place: Place) -> str:
        """Return why a volume cannot be read."""
        if place in self._known:
            return f"volume {place.label} of {place.vault} is retired"
        problem = self._missing.get(place.vault)
        return problem or f"{place.vault} has no volume {place.label}"

    def is_vault_missing(self, place: Place) -> bool:
        """Return whether it is the whole vault that does not answer now."""
        return place.vault in self._missing

    def best(self, places: Iterable[Place]) -> Place | None:
        """Return the volume to read first: the readiest, in the settings' order of vaults."""
        ranked = [(rank, place) for place in places if (rank := self.readiness(place)) is not None]
        if not ranked:
            return None
        return min(ranked, key=lambda one: (one[0], self._order.get(one[1].vault, 0), one[1]))[1]


def _readiness(volume: Volume, cold: bool) -> Readiness | None:
    if volume.state == VolumeState.RETIRED:
        return None
    if volume.state == VolumeState.SUSPECT:
        return Readiness.SUSPECT
    if volume.state == VolumeState.EXPORTED:
        return Readiness.ON_SHELF
    if cold:
        return Readiness.COLD
    return Readiness.IN_LIBRARY if volume.drive is None else Readiness.MOUNTED
