"""Lists of what one node shall free: printed first, approved, used once.

What is listed is judged again when it is approved, and by the step and the node when it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from archive_node import trail
from archive_node.models import EvictionList, Job, ListedStudy, NodeState, StudyFacts
from archive_node.policy import rules, selection
from archive_node.policy.decided import rules_of
from archive_node.policy.requests import RULE, request_all
from archive_node.policy.rules import EVICT, Rules
from archive_node.ruling.facts import Facts
from pacs_common import errors
from pacs_common.sentences import say

MOST_STUDIES = 5000  # of one list; the next scan goes on
MATERIAL = 0.1  # a list is overtaken where so much of its bytes would be another's
REFUSED_FOR = timedelta(hours=24)  # what a person refused is not proposed again at once
SPACE = say("longest-unused")
State = EvictionList.State


@dataclass(frozen=True)
class Proposal:
    """What would be listed now: why, how many bytes are wanted, and each study with its reason."""

    why: str
    wanted_bytes: int
    studies: list[tuple[Facts, str]]

    @property
    def listed_bytes(self) -> int:
        """What the listed studies have on the disk."""
        return sum(facts.online_bytes for facts, _ in self.studies)


def proposal(node: str, disk: dict[str, Any], asked: Rules, besides_bytes: int = 0) -> Proposal:
    """Return what shall go: what is due by age, and then the longest unused, for space.

    `besides_bytes` are wanted free on the node whatever its watermarks say. What is on its way
    out already counts, and is not listed again.
    """
    usable, free = usable_bytes(disk)
    makes_room = NodeState.objects.filter(name=node, makes_room=True).exists()
    excess = rules.excess_bytes(usable, free, asked.policy, makes_room=makes_room)
    wanted = max(0, max(excess, besides_bytes - free) - _under_way_bytes(node))
    chosen = list(_due(node, asked))
    taken = {facts.study_uid for facts, _ in chosen}
    left = wanted - sum(facts.online_bytes for facts, _ in chosen)
    if left > 0:
        candidates = (facts for facts in may_go(node, asked) if facts.study_uid not in taken)
        space = rules.least_recently_used(candidates, left)
        chosen = [*chosen, *((facts, SPACE) for facts in space)][:MOST_STUDIES]
    return Proposal(_why(usable, free, wanted, excess, asked), wanted, chosen)


def usable_bytes(disk: dict[str, Any]) -> tuple[int, int]:
    """Return a disk's size and what is free of it, both without the reserve."""
    reserve = disk["reserve_bytes"]
    return disk["total_bytes"] - reserve, disk["free_bytes"] - reserve


def may_go(node: str, asked: Rules) -> Iterator[Facts]:
    """Yield what may be evicted now and nobody has asked for yet, the longest unused first."""
    return _going(selection.longest_unused(node, asked)[: 2 * MOST_STUDIES], asked)


def consider(node: str, disk: dict[str, Any], asked: Rules, besides_bytes: int = 0) -> None:
    """Make the list that is wanted now; where nobody must approve it, approve it as a rule.

    One that waits for a person stays, unless what is wanted has changed materially. Once the high
    watermark was passed, lists are made until the low one is reached: the first may have found
    little that was proven by then.
    """
    _note_marks(node, disk, asked.policy)
    found = proposal(node, disk, asked, besides_bytes)
    with transaction.atomic():
        waiting = EvictionList.objects.filter(node=node, state=State.PROPOSED).first()
        if waiting is not None:
            if asked.policy.approval and not _differs(waiting, found):
                return
            _moved(waiting.id, State.OVERTAKEN, RULE)
        if not found.studies or (asked.policy.approval and _was_refused(node, found, asked.now)):
            return
        made = _made(node, found)
    if not asked.policy.approval:
        approve(made.id, RULE)


def _note_marks(node: str, disk: dict[str, Any], policy: rules.Policy) -> None:
    usable, free = usable_bytes(disk)
    state = NodeState.objects.filter(name=node)
    if rules.is_high(usable, free, policy):
        state.update(makes_room=True)
    elif usable - free <= policy.low_watermark * usable:
        state.update(makes_room=False)


def approve(list_id: int, by: str) -> EvictionList:
    """Let the studies of a list go that still may; raises Conflict where it was decided.

    A study that may not go any more stays, with the reason in its row.
    """
    now = timezone.now()
    with transaction.atomic():
        decided = _moved(list_id, State.APPROVED, by)
        listed = {row.study_uid: row for row in decided.studies.all()}
        stays = dict(_stays(decided, list(listed), now))
        going = [uid for uid in listed if uid not in stays]
        jobs = request_all(EVICT, decided.node, going, by)
        for uid, row in listed.items():
            row.job = jobs.get(uid)
            row.why = row.why if uid not in stays else say("stays", why=stays[uid])[:200]
        ListedStudy.objects.bulk_update(listed.values(), ["job", "why"], batch_size=200)
        _note("list-approved", by, decided, studies=len(going))
    return decided


def refuse(list_id: int, by: str) -> EvictionList:
    """Note that a person wants none of a list; raises Conflict where it was decided."""
    with transaction.atomic():
        decided = _moved(list_id, State.REFUSED, by)
        _note("list-refused", by, decided)
    return decided


def found(list_id: int) -> EvictionList:
    """Return a list with the number and bytes of its studies; raises NotFound."""
    row = counted(EvictionList.objects.filter(id=list_id)).first()
    if row is None:
        raise errors.NotFound(say("list-unknown", list=list_id))
    return row


def counted(rows: QuerySet[EvictionList]) -> QuerySet[EvictionList]:
    """Return lists with `number` and `listed_bytes` of what they list."""
    return rows.annotate(number=Count("studies"), listed_bytes=Sum("studies__size_bytes"))


def _going(rows: QuerySet[StudyFacts], asked: Rules) -> Iterator[Facts]:
    for facts in selection.facts(rows.iterator(selection.PAGE)):
        if asked.stays(facts) is None:
            yield facts


def _due(node: str, asked: Rules) -> Iterator[tuple[Facts, str]]:
    """Yield what shall go by its age or by a rule, whatever the disk."""
    wanted = selection.meant(asked, EVICT)
    days = asked.policy.evict_after_days
    if days > 0:
        wanted |= Q(used_at__lte=asked.now - timedelta(days=days))
    elif not any(rule.action == EVICT for rule in asked.rules):
        return
    for facts in _going(selection.longest_unused(node, asked).filter(wanted)[:MOST_STUDIES], asked):
        decision = asked.due(facts)
        if decision is not None:
            yield facts, decision.why


def _under_way_bytes(node: str) -> int:
    going = Job.objects.filter(node=node, kind=Job.Kind.EVICT, state__in=Job.OPEN)
    rows = StudyFacts.objects.filter(node=node, study_uid__in=going.values("study_uid"))
    return rows.aggregate(sum=Sum("online_bytes"))["sum"] or 0


def _why(usable: int, free: int, wanted: int, excess: int, asked: Rules) -> str:
    if not wanted:
        return say("list-by-age")
    if not excess:
        return say("list-for-recall")
    used = (usable - free) / usable
    return say("list-disk-full", used_percent=used, mark_percent=asked.policy.high_watermark)


def _made(node: str, found: Proposal) -> EvictionList:
    made = EvictionList.objects.create(
        node=node, why=found.why[:200], wanted_bytes=found.wanted_bytes
    )
    ListedStudy.objects.bulk_create(
        [
            ListedStudy(
                list=made, study_uid=facts.study_uid, instances=facts.online,
                size_bytes=facts.online_bytes, last_used_at=facts.last_used_at, why=why[:200],
            )
            for facts, why in found.studies
        ],
        batch_size=200,
    )  # fmt: skip
    return made


def _moved(list_id: int, state: str, by: str) -> EvictionList:
    """proposed -> `state`, once, whoever is first."""
    moved = EvictionList.objects.filter(id=list_id, state=State.PROPOSED).update(
        state=state, decided_at=timezone.now(), decided_by=by[:200]
    )
    decided = found(list_id)
    if moved != 1:
        raise errors.Conflict(say("list-decided", list=list_id, list_state=decided.state))
    return decided


def _stays(decided: EvictionList, uids: Iterable[str], now: datetime) -> Iterator[tuple[str, str]]:
    """Yield the studies of a list that may not go now, and why."""
    asked = rules_of(decided.node, now)
    rows = selection.known(decided.node).filter(study_uid__in=list(uids))
    there = {facts.study_uid: facts for facts in selection.facts(rows)}
    for uid in uids:
        facts = there.get(uid)
        if facts is None or not facts.online:
            yield uid, say("away")
        elif (kept := asked.stays(facts)) is not None:
            yield uid, kept.why


def _differs(waiting: EvictionList, found: Proposal) -> bool:
    """Whether what would be listed now is materially another list."""
    listed = dict(waiting.studies.values_list("study_uid", "size_bytes"))
    would = {facts.study_uid: facts.online_bytes for facts, _ in found.studies}
    if not would:
        return True
    other = {
        uid: size for uid, size in (listed | would).items() if (uid in listed) != (uid in would)
    }
    return sum(other.values()) > MATERIAL * sum(listed.values())


def _was_refused(node: str, found: Proposal, now: datetime) -> bool:
    """Whether a person refused much the same a short while ago."""
    last = EvictionList.objects.filter(node=node).exclude(state=State.OVERTAKEN).order_by("-id")
    newest = last.first()
    return (
        newest is not None
        and newest.state == State.REFUSED
        and newest.decided_at > now - REFUSED_FOR
        and not _differs(newest, found)
    )


def _note(kind: str, by: str, decided: EvictionList, **more: Any) -> None:
    trail.note(kind, by, list=decided.id, node=decided.node, why=decided.why, **more)
