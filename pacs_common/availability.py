"""Instance Availability (0008,0056), PS3.3 C.4.23.1.1."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Availability(StrEnum):
    """Where the bytes are, best first."""

    ONLINE = "ONLINE"
    NEARLINE = "NEARLINE"
    OFFLINE = "OFFLINE"
    UNAVAILABLE = "UNAVAILABLE"


# what a node warns of (QIDO-RS, 299) until the archive has given back what it stands in for
BEING_REFILLED = "this node replaces a lost one: some of its studies are not back yet"
_ORDER = list(Availability)


def least(values: Iterable[str | Availability]) -> Availability:
    """Return the availability of a whole: that of its least available part (PS3.4 C.4.1.1.3)."""
    ranks = [_ORDER.index(Availability(value)) for value in values]
    return _ORDER[max(ranks)] if ranks else Availability.ONLINE
