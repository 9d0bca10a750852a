"""Associations that must be rejected, asked for with pynetdicom."""

from __future__ import annotations

from collections.abc import Callable

from pynetdicom.association import Association

TRIES = 5


def rejected(associate: Callable[[], Association]) -> Association:
    """Return the association that a peer refused, with the reason that it gave.

    pynetdicom takes a rejection that is quicker than its own thread for a connection that
    failed, and then knows no answer: it is asked again.
    """
    for _ in range(TRIES):
        association = associate()
        if association.is_rejected or association.is_established:
            break
    assert association.is_rejected
    return association
