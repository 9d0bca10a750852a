"""What one recall still has to bring, and from where it can."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

from archive_node.catalogue import Key, mark_bad
from archive_node.models import CopiedInstance, Copy, StudyFacts
from archive_node.steps import manifest as manifests
from archive_node.steps.whereabouts import Place, Whereabouts, proven_copies
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.base import NeedsOperator, Thawing
from pacs_common import errors
from pacs_common.sentences import say

Repair = Callable[[str, str, str], None]  # of a study (node, UID) in a vault


class Wanted:
    """The instances that a node lacks of one study, each with its verified copies."""

    def __init__(self, work: Work, repair: Repair) -> None:
        """Ask the node what it lacks; raises what that raises."""
        self.work = work
        self.is_out = False  # of a round: it was settled, or lost
        self._repair = repair
        manifest = manifests.fetch(work)
        lacking = [entry for entry in manifest.instances if entry.availability != "ONLINE"]
        copies = proven_copies(work.node, work.study_uid) if lacking else {}
        self.total = len(lacking)
        self.without_copy = [entry for entry in lacking if entry.key not in copies]
        self.copies = {entry.key: copies[entry.key] for entry in lacking if entry.key in copies}
        self.problems: list[errors.ArgensError] = []
        self._thawing: dict[Key, datetime | None] = {}
        self._shelved: dict[Key, Place] = {}
        self._over: set[Place] = set()
        self.size_bytes = sum(entry.size_bytes for entry in lacking)
        work.expect(len(lacking), self.size_bytes)

    def reserve(self) -> None:
        """Have the node keep the space free; raises DiskFull where it cannot.

        A node that is older than reservations refuses what does not fit as it comes.
        """
        if not self.copies:
            return
        try:
            self.work.client.reserve(self.work.study_uid, self.size_bytes)
        except errors.NotFound:
            self.work.note(say("node-old-space", node=self.work.node))

    def next_place(self, where: Whereabouts) -> Place | None:
        """Return the volume to read next, of those not passed over; None where none is left."""
        places: set[Place] = set()
        for key, rows in self.copies.items():
            if key not in self._thawing and key not in self._shelved:
                places |= {Place.of(row) for row in rows}
        places -= self._over
        for place in {place for place in places if where.readiness(place) is None}:
            places.discard(place)
            kind = errors.Unavailable if where.is_vault_missing(place) else errors.NotFound
            self.pass_over(place, kind(where.absence(place)))
        return where.best(places)

    def on(self, place: Place) -> list[CopiedInstance]:
        """Return what is lacking and has a copy on a volume."""
        found = []
        for rows in self.copies.values():
            found += [row for row in rows if Place.of(row) == place][:1]
        return found

    def leave(self, place: Place) -> None:
        """Read no more of a volume: what could be brought from it was."""
        self._over.add(place)

    def pass_over(self, place: Place, problem: errors.ArgensError) -> None:
        """Look elsewhere for what lies on a volume, where there is an elsewhere."""
        self.leave(place)
        self.problems.append(problem)

    def shelve(self, place: Place) -> None:
        """Leave what only lies on a volume of the shelf until a person brings it."""
        self.leave(place)
        self._shelved |= {_key(row): place for row in self.on(place)}

    def thaw(self, row: CopiedInstance, until: datetime | None) -> None:
        """Leave an instance until its store has made it readable."""
        self._thawing[_key(row)] = until

    def brought(self, row: CopiedInstance) -> None:
        """Count an instance that the node has now; raises LeaseLost."""
        self.copies.pop(_key(row), None)
        self.work.advance(row.size_bytes)

    def refused(self, row: CopiedInstance, why: errors.ArgensError) -> None:
        """Give an instance up that its node does not take."""
        self.copies.pop(_key(row), None)
        self.problems.append(why)

    def condemn(self, copy: Copy, problem: str) -> None:
        """Mark a copy bad and have it written anew; what it held is looked for elsewhere."""
        with self.work.fenced():
            mark_bad(copy, problem)
            self._repair(copy.node, copy.study_uid, copy.vault)
        self.problems.append(volume.Damaged(problem))
        for rows in self.copies.values():
            rows[:] = [row for row in rows if row.copy_id != copy.id]

    def conclude(self) -> None:
        """Note that the study was recalled, or raise what keeps the rest of it away.

        NeedsOperator comes first, so that a person acts while the rest thaws; then what time may
        mend, then what it does not. Volumes that were passed over do not matter where all came.
        """
        if self.copies:
            self._raise_what_keeps_it_away()
        if self.without_copy:
            counts = {"missing_count": len(self.without_copy), "instances_count": self.total}
            first = self.without_copy[0].sop_instance_uid
            raise errors.NotFound(say("no-copy", **counts, instance_uid=first))
        refused = [one for one in self.problems if isinstance(one, NodeRefused)]
        if refused:
            raise volume.Damaged(str(refused[0]))
        note_recalled(self.work)

    def _raise_what_keeps_it_away(self) -> None:
        if self._shelved:
            place = next(iter(self._shelved.values()))
            raise NeedsOperator(place.vault, place.label)
        if self._thawing:
            moments = [until for until in self._thawing.values() if until is not None]
            raise Thawing(
                say("thawing", instances_count=len(self._thawing)),
                max(moments, default=None),
            )
        passing = [one for one in self.problems if one.retriable]
        if passing:
            raise passing[0]
        first = self.problems[0] if self.problems else None
        raise volume.Damaged(str(first or f"no copy of {next(iter(self.copies))[0]} can be read"))


class NodeRefused(errors.Conflict):
    """A node does not take an instance that the archive has for it."""

    title = "Refused by the node"


def note_recalled(work: Work) -> None:
    """Note when a study was last recalled: it counts as used from then."""
    with work.fenced():
        StudyFacts.objects.update_or_create(
            node=work.node, study_uid=work.study_uid, defaults={"recalled_at": timezone.now()}
        )


def _key(row: CopiedInstance) -> Key:
    return (row.sop_instance_uid, row.stored_sha256)
