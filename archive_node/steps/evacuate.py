"""Bring what lies on a volume onto new media, prove it there, and retire the volume."""

from __future__ import annotations

import re

from django.db.models import QuerySet

from archive_node import alarms, library
from archive_node.catalogue import doubt, mark_bad
from archive_node.models import Copy, Job
from archive_node.steps.alone import alone_on
from archive_node.steps.giving_way import give_way
from archive_node.steps.moving import Moving, close, move, staged
from archive_node.steps.reading import open_member, warmed
from archive_node.steps.suspicion import KIND, suspect
from archive_node.steps.thawing import ask_everywhere, longest
from archive_node.steps.wanted import Repair
from archive_node.steps.whereabouts import Place
from archive_node.steps.work import GaveWay, Work
from archive_node.vault import volume
from archive_node.vault.base import MediumFailed, MountedVolume, Thawing, TooLarge, VolumeState
from pacs_common import errors
from pacs_common.sentences import say

BATCH_BYTES = 4 << 30  # read before a drive is asked for the new volume
PATIENCE = 3  # failures in a row after which it is the drive, or the whole tape
WAIT_S = 60.0  # for the copies that are made from elsewhere
_MEMBER = re.compile(r"(?P<node>[^/]+)/(?P<study>[^/]+)/r(?P<revision>[0-9]+)-[0-9]+\.tar\Z")


def evacuate(work: Work, repair: Repair) -> None:
    """Copy every member of the job's volume within its vault, prove it, and retire the volume.

    From the beginning the volume gets nothing more. A member in clear is copied as it is, byte
    for byte; one that is encrypted (and so bound to its name), or that cannot be read, is written
    anew by a copy job, from wherever its instances are. Run again, it goes on with what still
    lies there alone. Raises Conflict, naming the first, where something lies there alone that
    could not be brought: the volume stays suspect then.
    """
    place = Place(work.vault, work.volume)
    if _state(place) == VolumeState.RETIRED:
        return  # by an attempt that was killed as it ended
    library.vault(place.vault).mark(place.label, VolumeState.SUSPECT)
    todo = _not_yet_elsewhere(work, place)
    work.expect(len(todo), sum(copy.size_bytes for copy in todo))
    readable = [copy for copy in todo if not copy.key_id]
    for copy in todo:
        if copy.key_id:
            _ask_elsewhere(work, copy, repair)
    thawing: list[Thawing] = []
    if readable:
        ask_everywhere({place: [copy.member for copy in readable]}, work.check)
    while readable:
        for moving in _read_batch(work, place, readable, repair):
            try:
                _moved(work, moving, repair)
            except Thawing as error:  # it is written, and asked for: so are the others
                thawing.append(error)
        give_way(work)
    if thawing:
        raise longest(thawing)
    _conclude(work, place)


def _not_yet_elsewhere(work: Work, place: Place) -> list[Copy]:
    """Return the copies to be brought; those that their vault holds elsewhere too are closed."""
    there = Copy.objects.filter(vault=place.vault, volume=place.label, bad_since=None)
    alone = {copy.id for copy in alone_on(place, within=place.vault)}
    with work.fenced():
        close(there.exclude(id__in=alone))
    copies = there.order_by("written_at", "id")
    return [copy for copy in copies if not _is_being_copied(copy)]


def _state(place: Place) -> VolumeState | None:
    volumes = library.vault(place.vault).volumes()
    return next((one.state for one in volumes if one.label == place.label), None)


def _read_batch(work: Work, place: Place, todo: list[Copy], repair: Repair) -> list[Moving]:
    """Take the next members from `todo` into staging, as many as one mount shall bring."""
    batch: list[Moving] = []
    failures = size_bytes = 0
    with warmed(place, work.check) as mounted:
        while todo and size_bytes < BATCH_BYTES:
            copy = todo.pop(0)
            try:
                moving = _read(work, mounted, copy, repair)
            except MediumFailed as error:  # which says nothing against the copy
                suspect(error)
                failures += 1
                if failures == PATIENCE:
                    raise
                _ask_elsewhere(work, copy, repair)
                continue
            failures = 0
            if moving is not None:
                batch.append(moving)
                size_bytes += moving.size_bytes
    return batch


def _read(work: Work, mounted: MountedVolume, copy: Copy, repair: Repair) -> Moving | None:
    """Return a member in staging, proven; None where it is bad, which is then settled."""
    try:
        with open_member(mounted, copy.vault, copy.member) as file:
            return staged(work, copy, file)
    except (volume.Damaged, errors.NotFound) as error:
        with work.fenced():
            problem = say("copy-bad", volume=copy.volume, member=copy.member, why=error)
            mark_bad(copy, problem)
            repair(copy.node, copy.study_uid, copy.vault)
    return None


def _moved(work: Work, moving: Moving, repair: Repair) -> None:
    try:
        move(work, moving)
    except TooLarge:  # for the volumes of today: it is written anew, in parts
        _ask_elsewhere(work, moving.copy, repair)
    finally:
        moving.file.unlink(missing_ok=True)


def _ask_elsewhere(work: Work, copy: Copy, repair: Repair) -> None:
    """Have a copy job write it anew, unless one has failed at that since this job was made."""
    asked_at = Job.objects.values_list("created_at", flat=True).get(id=work.job_id)
    failed = _copying(copy).filter(state=Job.State.FAILED, updated_at__gte=asked_at)
    if not failed.exists():
        with work.fenced():
            repair(copy.node, copy.study_uid, copy.vault)


def _conclude(work: Work, place: Place) -> None:
    lacking = alone_on(place, within=place.vault)
    if any(_is_being_copied(copy) for copy in lacking):
        work.give_back(WAIT_S)
        raise GaveWay
    alone = alone_on(place)
    if alone:
        first = alone[0]
        about = {"study_uid": first.study_uid, "node": first.node, "why": first.problem or "unread"}
        raise errors.Conflict(
            say("members-alone", members_count=len(alone), volume=place.label, **about)
        )
    strange = _unknown_members(work, place)
    if strange:
        number, first = len(strange), strange[0]
        raise errors.Conflict(
            say("members-unknown", volume=place.label, members_count=number, member=first)
        )
    with work.fenced():
        for copy in lacking:  # other vaults have it: the next scan has it copied here again
            doubt(copy.node, copy.study_uid, copy.vault)
        close(Copy.objects.filter(vault=place.vault, volume=place.label, bad_since=None))
    work.check()
    library.vault(place.vault).mark(place.label, VolumeState.RETIRED)
    alarms.end_alarm(KIND, f"{place.vault}/{place.label}")


def _is_being_copied(copy: Copy) -> bool:
    return _copying(copy).filter(state__in=Job.OPEN).exists()


def _copying(copy: Copy) -> QuerySet[Job]:
    return Job.objects.filter(
        kind=Job.Kind.COPY, node=copy.node, study_uid=copy.study_uid, vault=copy.vault
    )


def _unknown_members(work: Work, place: Place) -> list[str]:
    """Return the members without a row whose study has no later proven copy elsewhere.

    What a killed worker left is known by its study's later copy; a catalogue that was lost is not.
    """
    with warmed(place, work.check) as mounted:
        names = mounted.members()
    known = Copy.objects.filter(vault=place.vault, volume=place.label)
    strange = sorted(set(names) - set(known.values_list("member", flat=True)))
    return [name for name in strange if not _is_left_over(name)]


def _is_left_over(name: str) -> bool:
    found = _MEMBER.match(name)
    return found is not None and (
        Copy.objects.filter(
            node=found["node"],
            study_uid=found["study"],
            revision__gte=int(found["revision"]),
            bad_since=None,
            verified_at__isnull=False,
        ).exists()
    )
