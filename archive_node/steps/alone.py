"""What lies on one volume alone: it may not go before that is elsewhere too."""

from __future__ import annotations

from collections.abc import Iterable

from archive_node.models import Copy
from archive_node.steps.whereabouts import Place, Readiness, Whereabouts, proven_copies

EVACUATED = "evacuated"  # the problem of a copy that lies elsewhere since, and counts no more


def alone_on(place: Place, *, within: str = "") -> list[Copy]:
    """Return the copies on a volume of which something is in no proven copy elsewhere.

    Bad ones count too: they may be all that is left. Copies on other volumes that are suspect,
    retired or gone do not make up for them; with `within`, those of other vaults do not either.
    Copies that were evacuated are left out.
    """
    where = Whereabouts()
    there = Copy.objects.filter(vault=place.vault, volume=place.label)
    copies = there.exclude(problem=EVACUATED).order_by("written_at", "id")
    trusted = Trusted(where, place, within)
    return [copy for copy in copies if not _is_elsewhere(copy, trusted)]


class Trusted:
    """The volumes whose copies make up for those on one."""

    def __init__(self, where: Whereabouts, besides: Place, within: str) -> None:
        self._where, self._besides, self._within = where, besides, within

    def any_of(self, places: Iterable[Place]) -> bool:
        """Return whether one of these volumes can be relied on."""
        return any(self._counts(place) for place in places)

    def _counts(self, place: Place) -> bool:
        if place == self._besides or self._within not in {"", place.vault}:
            return False
        return self._where.readiness(place) not in {None, Readiness.SUSPECT}


def _is_elsewhere(copy: Copy, trusted: Trusted) -> bool:
    proven = proven_copies(copy.node, copy.study_uid)
    for row in copy.contents.all():
        others = proven.get((row.sop_instance_uid, row.stored_sha256), [])
        if not trusted.any_of(Place.of(one) for one in others):
            return False
    return copy.instances > 0 or _is_told_elsewhere(copy, trusted)


def _is_told_elsewhere(copy: Copy, trusted: Trusted) -> bool:
    """Whether records that came without instances are in a later, or equal, member elsewhere."""
    later = Copy.objects.filter(
        node=copy.node,
        study_uid=copy.study_uid,
        revision__gte=copy.revision,
        bad_since=None,
        verified_at__isnull=False,
    )
    return trusted.any_of(Place(one.vault, one.volume) for one in later)
