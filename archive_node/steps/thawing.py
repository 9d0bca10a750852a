"""Cold storage is asked once for all that a step needs: else each object would cost its hours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from archive_node import library
from archive_node.steps.reading import warmed
from archive_node.steps.whereabouts import Place
from archive_node.vault.base import MountedVolume, Thawing, Waiting
from pacs_common import errors


def ask(mounted: MountedVolume, members: Collection[str]) -> None:
    """Ask the store for all members that it must restore first; what is ready may be read now.

    What is not, or is not there, shows as it is opened.
    """
    with suppress(Thawing, errors.NotFound):
        mounted.thaw(members)


def ask_everywhere(members: Mapping[Place, Collection[str]], waiting: Waiting) -> None:
    """Ask for members on several volumes; no tape is mounted for it, since a tape is never cold."""
    for place, names in sorted(members.items()):
        with suppress(errors.ArgensError, OSError):  # which shows when it is read
            if not library.vault(place.vault).drives:
                with warmed(place, waiting) as mounted:
                    ask(mounted, names)


def longest(waits: Collection[Thawing]) -> Thawing:
    """Return the one that takes longest, as far as the stores tell."""
    return max(waits, key=lambda one: one.until or datetime.max.replace(tzinfo=UTC))
