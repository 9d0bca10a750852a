"""One mount serves everybody who waits for that volume, in the order of the tape."""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby
from typing import IO, Protocol

from archive_node.models import CopiedInstance, Copy
from archive_node.steps import staging
from archive_node.steps.patience import patient
from archive_node.steps.reading import open_member, proven, readable, warmed
from archive_node.steps.thawing import ask
from archive_node.steps.wanted import NodeRefused, Repair, Wanted
from archive_node.steps.whereabouts import Place
from archive_node.steps.work import LeaseLost, StepAside, Work
from archive_node.vault import volume
from archive_node.vault.base import MediumFailed, MountedVolume, Thawing
from pacs_common import errors


class Fellows(Protocol):
    """Other recalls that can be taken along; each is claimed, and settled again."""

    def join(self, place: Place) -> list[Work]:
        """Claim the queued recalls that need this volume, and keep each alive until it ends."""

    def finish(self, work: Work) -> None:
        """End one that lacks nothing more."""

    def give_back(self, work: Work) -> None:
        """Queue one again at once, which needs other volumes too."""

    def settle(self, work: Work, error: Exception) -> None:
        """End, or postpone, one that cannot go on."""


def bring(place: Place, leader: Wanted, fellows: Fellows, repair: Repair) -> None:
    """Mount a volume and send what the leader, and all who wait for it too, lack of it.

    What goes wrong for one of the others is its own affair. Raises what `Vault.warm` does,
    MediumFailed where it cannot be read, and what the leader's node answers.
    """
    party = [leader]
    try:
        with warmed(place, leader.work.check) as mounted:
            party += _joined(fellows.join(place), fellows, repair)
            _send_all(mounted, place, party, fellows)
    finally:
        for wanted in party[1:]:
            with suppress(LeaseLost):
                _part(wanted, fellows)


def _joined(works: list[Work], fellows: Fellows, repair: Repair) -> list[Wanted]:
    joined = []
    for work in works:
        with suppress(LeaseLost):
            try:
                wanted = Wanted(work, repair)
                wanted.reserve()
                joined.append(wanted)
            except errors.ArgensError as error:
                fellows.settle(work, patient(error, work.node))
    return joined


def _part(wanted: Wanted, fellows: Fellows) -> None:
    """Let one of the others go its way: it is done, or goes on for its other volumes."""
    if wanted.is_out:
        return
    if wanted.copies:
        fellows.give_back(wanted.work)
        return
    try:
        wanted.conclude()
    except errors.ArgensError as error:
        fellows.settle(wanted.work, error)
    else:
        fellows.finish(wanted.work)


def _send_all(mounted: MountedVolume, place: Place, party: list[Wanted], fellows: Fellows) -> None:
    order = {name: number for number, name in enumerate(mounted.members())}
    rows = [(row, wanted) for wanted in party for row in wanted.on(place)]
    rows.sort(key=lambda one: (order.get(one[0].copy.member, len(order)), one[0].offset))
    ask(mounted, list(dict.fromkeys(row.copy.member for row, _ in rows)))
    for copy, some in groupby(rows, key=lambda one: one[0].copy):
        pairs = list(some)
        wanted = pairs[0][1]  # a member holds one study, and one job is about it
        if wanted is party[0]:
            _send_member(mounted, copy, [row for row, _ in pairs], wanted)
        elif not wanted.is_out:
            _send_fellow(mounted, copy, [row for row, _ in pairs], wanted, fellows)


def _send_fellow(
    mounted: MountedVolume,
    copy: Copy,
    rows: list[CopiedInstance],
    wanted: Wanted,
    fellows: Fellows,
) -> None:
    try:
        _send_member(mounted, copy, rows, wanted)
    except LeaseLost:
        wanted.is_out = True
    except MediumFailed:
        raise
    except StepAside as error:
        _settle_out(wanted, error, fellows)
    except errors.ArgensError as error:
        _settle_out(wanted, patient(error, wanted.work.node), fellows)


def _settle_out(wanted: Wanted, error: Exception, fellows: Fellows) -> None:
    wanted.is_out = True
    with suppress(LeaseLost):
        fellows.settle(wanted.work, error)


def _send_member(
    mounted: MountedVolume, copy: Copy, rows: list[CopiedInstance], wanted: Wanted
) -> None:
    wanted.work.check()
    problems = []
    try:
        file = open_member(mounted, copy.vault, copy.member)
    except Thawing as error:  # the store was asked: go on, so that all is asked for at once
        for row in rows:
            wanted.thaw(row, error.until)
        return
    except errors.NotFound as error:
        problems.append(str(error))
    else:
        with file:
            try:
                problems = _send_rows(readable(file, copy), rows, wanted)
            except volume.Damaged as error:
                problems.append(f"{copy.member} on {copy.volume}: {error}")
    if problems:
        wanted.condemn(copy, problems[0])


def _send_rows(member: volume.OpenMember, rows: list[CopiedInstance], wanted: Wanted) -> list[str]:
    """Send what is sound of one member; return what is wrong with the rest."""
    problems = []
    home = staging.folder(wanted.work.job_id)
    for row in rows:
        try:
            with proven(member, row, home) as spool:
                _send(spool, row, wanted)
        except volume.Damaged as error:
            problems.append(f"{row.sop_instance_uid} on {row.copy.volume}: {error}")
    return problems


def _send(spool: IO[bytes], row: CopiedInstance, wanted: Wanted) -> None:
    work = wanted.work
    work.check()
    try:
        work.client.put_back(work.study_uid, row.sop_instance_uid, spool, row.size_bytes)
    except (errors.NotFound, errors.Conflict) as error:  # which says nothing against the copy
        wanted.refused(row, NodeRefused(f"{row.sop_instance_uid}: {error}"))
    else:
        wanted.brought(row)
