"""A restore of a node needs media: it asks for mounts, tells the operator, and looks again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from archive_node import library
from archive_node.jobs import mounts
from archive_node.steps.awaited import Awaited
from archive_node.steps.whereabouts import Place
from pacs_common import errors

LOOK_EVERY_S = 2.0  # at the shelf
THAW_LOOK = timedelta(minutes=10)  # a store may be sooner than it says
SEEN_EVERY_S = 60.0


class Waiting:
    """Waits on behalf of one node's restore; `say` tells the operator a line."""

    def __init__(self, node: str, say: Callable[[str], None]) -> None:
        self._node, self._say = node, say
        self._asked: set[Place] = set()
        self._said = ""
        self._seen_at = 0.0

    def ask(self, place: Place) -> None:
        """Ask the operators for a volume, at once: the restore goes on with others meanwhile."""
        mounts.ask_for_restore(place.vault, place.label, self._node)
        if place not in self._asked:
            self._asked.add(place)
            self._say(f"put volume {place.label} from the shelf into {place.vault}: it is needed")

    def keep_asking(self) -> None:
        """Let the requests show that somebody still waits; cheap to call."""
        if self._asked and time.monotonic() - self._seen_at > SEEN_EVERY_S:
            self._seen_at = time.monotonic()
            mounts.note_restore_waits(self._node)

    def wait(self, awaited: Awaited) -> None:
        """Return once a volume was put in, or something may have been thawed."""
        self._tell(awaited)
        look_at = timezone.now() + THAW_LOOK
        look_at = min(look_at, awaited.until or look_at)
        while True:
            time.sleep(LOOK_EVERY_S)
            self.keep_asking()
            if awaited.thawing and timezone.now() >= look_at:
                return
            if not all(map(_is_shelved, awaited.volumes)):
                return

    def end(self) -> None:
        """Wait for nothing any more."""
        mounts.end_restore_waits(self._node)

    def _tell(self, awaited: Awaited) -> None:
        """Say what is awaited, unless that was said last."""
        parts = []
        if awaited.volumes:
            names = ", ".join(f"{one.label} into {one.vault}" for one in sorted(awaited.volumes))
            parts.append(f"put {names} from the shelf")
        if awaited.thawing:
            until = f" until about {awaited.until:%Y-%m-%d %H:%M} UTC" if awaited.until else ""
            parts.append(f"cold storage restores {len(awaited.thawing)} members{until}")
        line = f"all else is brought, {len(awaited.studies)} studies wait: {'; '.join(parts)}"
        if line != self._said:
            self._said = line
            self._say(line)


def _is_shelved(place: Place) -> bool:
    """Whether a volume still lies on the shelf; while its vault is away nobody can tell."""
    try:
        volumes = library.vault(place.vault).volumes()
    except (errors.ArgensError, OSError):
        return True
    return any(one.label == place.label and mounts.is_shelved(one) for one in volumes)
