"""Where an instance's bytes come from: its node, or a verified copy in any vault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from archive_node.catalogue import Key, all_copies, mark_bad
from archive_node.models import CopiedInstance
from archive_node.steps import copies, staging
from archive_node.steps.manifest import Instance, Manifest
from archive_node.steps.stream import Stream
from archive_node.steps.thawing import ask, ask_everywhere, longest
from archive_node.steps.whereabouts import Place, Whereabouts
from archive_node.steps.work import Work
from archive_node.vault.base import MountedVolume, NeedsOperator, Thawing
from archive_node.vault.encryption import KeyMissing
from archive_node.vault.tar import Damaged
from archive_node.vault.volume import Item
from pacs_common import errors


class Sources:
    """What can be had of a study's instances, and how."""

    def __init__(self, work: Work, manifest: Manifest) -> None:
        self._work = work
        self._staged: set[Key] = set()
        self._stream = Stream(work, [])
        away = {each.key for each in manifest.instances if not _is_here(each)}
        self._copies = _ranked(work, away) if away else {}
        self._hindrance: errors.ArgensError | None = None

    def offer(self, instance: Instance) -> bool:
        """Return whether the node or a verified copy has an instance."""
        return _is_here(instance) or bool(self._copies.get(instance.key))

    def ask_for(self, instances: Iterable[Instance]) -> None:
        """Ask cold storage for all that is to come from there, whatever is written first."""
        members: dict[Place, set[str]] = {}
        for each in instances:
            for row in [] if _is_here(each) else self._copies.get(each.key, [])[:1]:
                members.setdefault(Place.of(row), set()).add(row.copy.member)
        ask_everywhere(members, self._work.check)

    def gather(self, instances: list[Instance], *, whole: bool) -> list[Instance]:
        """Stage what comes from volumes, with `whole` all, and return what could be had.

        What lies in quarantine is staged too: it is little, and the stream brings instances.

        A copy that proves bad on the way is marked, and another is tried. Raises NeedsOperator or
        Thawing where nothing but waiting helps, MediumFailed, DigestMismatch.
        """
        first = [each for each in instances if _is_here(each) and (whole or each.quarantined_as)]
        if first:
            self._staged |= staging.stage(self._work, first)
        self._bring([each for each in instances if not _is_here(each)])
        self._stream = Stream(
            self._work, [each.sop_instance_uid for each in instances if not self._is_staged(each)]
        )
        return [each for each in instances if _is_here(each) or self._is_staged(each)]

    def content(self, item: Item) -> Iterator[bytes]:
        """Yield an instance's bytes, from staging or straight from the node."""
        key = (item.sop_instance_uid, item.stored_sha256)
        if key in self._staged:
            yield from staging.content(self._work.job_id, key)
            return
        yield from self._stream.content(item.sop_instance_uid)
        self._work.advance(item.size_bytes)

    def forget(self, instances: Iterable[Instance]) -> None:
        """Remove what was staged of instances that are written."""
        for instance in instances:
            if self._is_staged(instance):
                staging.drop(self._work.job_id, instance.key)
        self._staged -= {instance.key for instance in instances}

    def _is_staged(self, instance: Instance) -> bool:
        return instance.key in self._staged

    def _bring(self, away: list[Instance]) -> None:
        """Stage instances from volumes, the best copy of each first, each volume in its order."""
        tries = {each.key: list(self._copies.get(each.key, [])) for each in away}
        self._staged |= staging.left_whole(self._work, away)
        self._hindrance = None
        while rows := [
            tries[each.key].pop(0) for each in away if not self._is_staged(each) and tries[each.key]
        ]:
            for place, on_volume in groupby(sorted(rows, key=_tape_order), key=Place.of):
                self._read_volume(place, list(on_volume))
        if self._hindrance is not None and not all(map(self._is_staged, away)):
            raise self._hindrance

    def _read_volume(self, place: Place, rows: list[CopiedInstance]) -> None:
        try:
            with copies.warmed(place.vault, place.label, self._work.check) as mounted:
                ask(mounted, {row.copy.member for row in rows})
                for _, of_copy in groupby(rows, key=lambda row: row.copy_id):
                    self._read_thawed(mounted, list(of_copy))
        except (NeedsOperator, KeyMissing) as error:
            self._hindrance = error
        except errors.NotFound:
            return  # it is away: that says nothing against its copies

    def _read_thawed(self, mounted: MountedVolume, rows: list[CopiedInstance]) -> None:
        try:
            self._read_member(mounted, rows)
        except Thawing as error:  # others may be ready
            if not isinstance(self._hindrance, NeedsOperator):
                waits = [one for one in (self._hindrance, error) if isinstance(one, Thawing)]
                self._hindrance = longest(waits)

    def _read_member(self, mounted: MountedVolume, rows: list[CopiedInstance]) -> None:
        copy = rows[0].copy
        problem = ""
        with mounted.open(copy.member) as file:
            for row in rows:
                try:
                    content = copies.content(copies.opened(file, copy), row)
                    staging.keep(self._work, row, content)
                    self._staged.add((row.sop_instance_uid, row.stored_sha256))
                except Damaged as error:
                    problem = f"{row.sop_instance_uid} on {copy.volume}: {error}"
        if problem:
            with self._work.fenced():
                mark_bad(copy, problem)


def _ranked(work: Work, wanted: set[Key]) -> dict[Key, list[CopiedInstance]]:
    """Return the copies that can be read, the readiest first."""
    known = all_copies(work.node, work.study_uid)
    found = {key: rows for key, rows in known.items() if key in wanted}
    where = Whereabouts() if found else None
    return {key: where.ranked(rows) for key, rows in found.items()} if where else {}


def _is_here(instance: Instance) -> bool:
    return instance.availability == "ONLINE"


def _tape_order(row: CopiedInstance) -> tuple[str, str, object, int, int]:
    return (row.copy.vault, row.copy.volume, row.copy.written_at, row.copy_id, row.offset)
