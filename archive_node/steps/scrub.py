"""Read a volume's copies again, in order, and believe none that does not read as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.db.models import Q
from django.utils import timezone

from archive_node import alarms, nodes
from archive_node.catalogue import Key, is_all_there, mark_bad
from archive_node.models import Alarm, CopiedInstance, Copy, Job
from archive_node.steps.giving_way import give_way
from archive_node.steps.reading import checked, open_member, readable, warmed
from archive_node.steps.suspicion import suspect
from archive_node.steps.thawing import ask
from archive_node.steps.wanted import Repair
from archive_node.steps.whereabouts import Place, proven_copies
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.base import MediumFailed, MountedVolume
from pacs_common import errors
from pacs_common.sentences import say

NO_GOOD_COPY = "no-good-copy"
STRETCH_S = 300.0  # for which a drive is kept at most: others wait for it too
BREATH_S = 0.2  # in which another takes it


def scrub(work: Work, repair: Repair) -> None:
    """Compare every verified copy of the job's volume with its `stored_sha256`, in tape order.

    A bad copy is marked so and asked for anew in the same moment; a study that has no good copy
    left anywhere and is not on its node is shouted about. Run again, it goes on after the last
    copy that was read. Raises Conflict where the medium fails: the volume is suspect then.
    """
    place = Place(work.vault, work.volume)
    todo = _unread(work)
    rows = CopiedInstance.objects.filter(copy__in=todo).values_list("size_bytes", flat=True)
    work.expect(len(rows), sum(rows))
    bad = 0
    try:
        while todo.exists():
            bad += _stretch(work, place, todo, repair)
            time.sleep(BREATH_S)
    except MediumFailed as error:
        suspect(error)
        raise errors.Conflict(say("suspect-now", why=error)) from error
    if bad:
        work.note(say("copies-bad", copies_count=bad, volume=work.volume))


def _unread(work: Work):
    """Return the copies that this job has not read yet."""
    asked_at = Job.objects.values_list("created_at", flat=True).get(id=work.job_id)
    return Copy.objects.filter(
        Q(scrubbed_at=None) | Q(scrubbed_at__lt=asked_at),
        vault=work.vault,
        volume=work.volume,
        bad_since=None,
        verified_at__isnull=False,
    )


def _stretch(work: Work, place: Place, todo, repair: Repair) -> int:
    """Read copies for a while; return how many were bad."""
    bad, began = 0, time.monotonic()
    with warmed(place, work.check) as mounted:
        left = list(_in_tape_order(mounted, todo))
        ask(mounted, [copy.member for copy in left])
        for copy in left:
            problem = _problem(work, mounted, copy)
            bad += bool(problem)
            _settle(work, copy, problem, repair)
            give_way(work)
            if time.monotonic() - began > STRETCH_S:
                break
    return bad


def _in_tape_order(mounted: MountedVolume, todo) -> Iterator[Copy]:
    order = {name: number for number, name in enumerate(mounted.members())}
    copies = todo.order_by("written_at", "id")
    yield from sorted(copies, key=lambda copy: order.get(copy.member, len(order)))


def _problem(work: Work, mounted: MountedVolume, copy: Copy) -> str:
    """Read one copy whole; return what is wrong with it, or an empty string."""
    try:
        with open_member(mounted, copy.vault, copy.member) as file:
            member = readable(file, copy)
            for row in copy.contents.select_related("copy").order_by("offset"):
                for _ in checked(member, row):
                    work.check()
                work.advance(row.size_bytes)
    except (volume.Damaged, errors.NotFound) as error:
        return say("copy-bad", volume=copy.volume, member=copy.member, why=error)
    return ""


def _settle(work: Work, copy: Copy, problem: str, repair: Repair) -> None:
    if not problem:
        with work.fenced():
            Copy.objects.filter(id=copy.id, bad_since=None).update(scrubbed_at=timezone.now())
        return
    is_lost = _is_lost(work, copy)
    with work.fenced():
        mark_bad(copy, problem)
        repair(copy.node, copy.study_uid, copy.vault)
        if is_lost:
            text = say("no-good-copy", study_uid=copy.study_uid, node=copy.node, why=problem)
            alarms.raise_alarm(NO_GOOD_COPY, copy.study_uid, Alarm.Level.CRITICAL, text)


def _is_lost(work: Work, copy: Copy) -> bool:
    """Whether something of a bad copy is neither in another good one nor on its node."""
    proven = proven_copies(copy.node, copy.study_uid)
    alone = {
        key for key in _keys(copy) if all(other.copy_id == copy.id for other in proven.get(key, []))
    }
    return bool(alone - _online(work, copy)) if alone else False


def _keys(copy: Copy) -> set[Key]:
    return set(copy.contents.values_list("sop_instance_uid", "stored_sha256"))


def _online(work: Work, copy: Copy) -> set[Key]:
    """Return the files that the node has now, or had all of when it was last asked."""
    try:
        client = nodes.client(copy.node, subject=f"job {work.job_id}")
        told = client.manifest(copy.study_uid)
        waiting = {(one["uid"], one["stored_sha256"]) for one in told.get("quarantine") or []}
        return waiting | {
            (entry["sop_instance_uid"], entry["stored_sha256"])
            for entry in told["instances"]
            if entry["availability"] == "ONLINE"
        }
    except (errors.ArgensError, LookupError, TypeError):
        return _keys(copy) if is_all_there(copy.node, copy.study_uid) else set()
