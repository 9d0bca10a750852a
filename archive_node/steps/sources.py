"""Where an instance's bytes come from: its node, or a verified copy in any vault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from archive_node import library
from archive_node.catalogue import Key, all_copies, mark_bad
from archive_node.models import CopiedInstance
from archive_node.steps import copies, staging
from archive_node.steps.manifest import Instance, Manifest
from archive_node.steps.stream import Stream
from archive_node.steps.work import Work
from archive_node.vault.base import MountedVolume, NeedsOperator, Thawing, Vault, VolumeState
from archive_node.vault.encryption import KeyMissing
from archive_node.vault.tar import Damaged
from archive_node.vault.volume import Item
from pacs_common import errors

_LAST_RESORT = 3
_RANKS = {VolumeState.SUSPECT: _LAST_RESORT, VolumeState.EXPORTED: 2}
Place = tuple[str, str]  # vault and label


class Sources:
    """What can be had of a study's instances, and how."""

    def __init__(self, work: Work, manifest: Manifest) -> None:
        self._work = work
        self._staged: set[str] = set()
        self._stream = Stream(work, [])
        away = {each.key for each in manifest.instances if not _is_here(each)}
        self._copies = _ranked(work, away) if away else {}
        self._hindrance: errors.ArgensError | None = None

    def offer(self, instance: Instance) -> bool:
        """Return whether the node or a verified copy has an instance."""
        return _is_here(instance) or bool(self._copies.get(instance.key))

    def gather(self, instances: list[Instance], *, whole: bool) -> list[Instance]:
        """Stage what comes from volumes, with `whole` all, and return what could be had.

        A copy that proves bad on the way is marked, and another is tried. Raises NeedsOperator or
        Thawing where nothing but waiting helps, MediumFailed, DigestMismatch.
        """
        if whole:
            self._staged |= staging.stage(self._work, filter(_is_here, instances))
        self._bring([each for each in instances if not _is_here(each)])
        self._stream = Stream(
            self._work, [each.sop_instance_uid for each in instances if not self._is_staged(each)]
        )
        return [each for each in instances if _is_here(each) or self._is_staged(each)]

    def content(self, item: Item) -> Iterator[bytes]:
        """Yield an instance's bytes, from staging or straight from the node."""
        if item.sop_instance_uid in self._staged:
            yield from staging.content(self._work.job_id, item.sop_instance_uid)
            return
        yield from self._stream.content(item.sop_instance_uid)
        self._work.advance(item.size_bytes)

    def forget(self, instances: Iterable[Instance]) -> None:
        """Remove what was staged of instances that are written."""
        for instance in instances:
            if self._is_staged(instance):
                staging.drop(self._work.job_id, instance.sop_instance_uid)
        self._staged -= {instance.sop_instance_uid for instance in instances}

    def _is_staged(self, instance: Instance) -> bool:
        return instance.sop_instance_uid in self._staged

    def _bring(self, away: list[Instance]) -> None:
        """Stage instances from volumes, the best copy of each first, each volume in its order."""
        tries = {each.key: list(self._copies.get(each.key, [])) for each in away}
        self._staged |= staging.left_whole(self._work, away)
        self._hindrance = None
        while rows := [
            tries[each.key].pop(0) for each in away if not self._is_staged(each) and tries[each.key]
        ]:
            for place, on_volume in groupby(sorted(rows, key=_tape_order), key=_place):
                self._read_volume(*place, list(on_volume))
        if self._hindrance is not None and not all(map(self._is_staged, away)):
            raise self._hindrance

    def _read_volume(self, name: str, label: str, rows: list[CopiedInstance]) -> None:
        try:
            with copies.warmed(name, label, self._work.check) as mounted:
                for _, of_copy in groupby(rows, key=lambda row: row.copy_id):
                    self._read_member(mounted, list(of_copy))
        except (NeedsOperator, Thawing, KeyMissing) as error:
            self._hindrance = error
        except errors.NotFound:
            return  # it is away: that says nothing against its copies

    def _read_member(self, mounted: MountedVolume, rows: list[CopiedInstance]) -> None:
        copy = rows[0].copy
        problem = ""
        with mounted.open(copy.member) as file:
            for row in rows:
                try:
                    content = copies.content(copies.opened(file, copy), row)
                    staging.keep(self._work, row, content)
                    self._staged.add(row.sop_instance_uid)
                except Damaged as error:
                    problem = f"{row.sop_instance_uid} on {copy.volume}: {error}"
        if problem:
            with self._work.fenced():
                mark_bad(copy, problem)


def _ranked(work: Work, wanted: set[Key]) -> dict[Key, list[CopiedInstance]]:
    """Return the copies that can be read: mounted ones first, suspect volumes at last."""
    known = all_copies(work.node, work.study_uid)
    found = {key: rows for key, rows in known.items() if key in wanted}
    ranks = _ranks({row.copy.vault for rows in found.values() for row in rows})
    return {
        key: sorted((row for row in rows if _place(row) in ranks), key=lambda r: ranks[_place(r)])
        for key, rows in found.items()
    }


def _ranks(names: set[str]) -> dict[Place, int]:
    ranks: dict[Place, int] = {}
    for name in names:
        try:
            ranks |= _ranks_in(name, library.vault(name))
        except (errors.ArgensError, OSError):
            continue  # what is not there is no source
    return ranks


def _ranks_in(name: str, vault: Vault) -> dict[Place, int]:
    return {
        (name, each.label): _RANKS.get(each.state, int(each.drive is None))
        for each in vault.volumes()
        if each.state != VolumeState.RETIRED
    }


def _is_here(instance: Instance) -> bool:
    return instance.availability == "ONLINE"


def _place(row: CopiedInstance) -> Place:
    return (row.copy.vault, row.copy.volume)


def _tape_order(row: CopiedInstance) -> tuple[str, str, object, int, int]:
    return (*_place(row), row.copy.written_at, row.copy_id, row.offset)
