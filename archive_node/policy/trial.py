"""What a rule would do, study by study, before it is saved."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from archive_node import models, nodes
from archive_node.policy import selection
from archive_node.policy.decided import rule_of, rules_of
from archive_node.policy.rules import Decision
from archive_node.ruling.facts import Facts

MOST_JUDGED = 20_000  # an answer comes within seconds, whatever the catalogue


@dataclass(frozen=True)
class Tried:
    """One study that a rule speaks of, and what becomes of it by that rule."""

    facts: Facts
    decision: Decision


@dataclass(frozen=True)
class Trial:
    """What a rule would do: the longest unused first, and the bytes of what it acts on.

    Where so many are meant that not all were judged, `total` counts those that may be meant.
    """

    studies: list[Tried]
    total: int
    acted_bytes: int
    is_complete: bool


def tried(row: models.Rule, *, saved_id: int | None = None) -> Trial:
    """Return what a rule would do now beside all others, in place of the one with `saved_id`."""
    now = timezone.now()
    rule = rule_of(row)
    asked = {name: rules_of(name, now, but=saved_id) for name in nodes.names()}
    rows = selection.known().filter(selection.described(rule.conditions, now), node__in=asked)
    ordered = rows.annotate(used_at=selection.LAST_USED).order_by("used_at", "study_uid", "node")
    judged = ordered[:MOST_JUDGED]
    found = [
        Tried(facts, asked[facts.node].tried(rule, facts))
        for facts in selection.facts(judged)
        if rule.conditions.met_by(facts, now)
    ]
    perhaps = rows.count()
    is_complete = perhaps <= MOST_JUDGED
    acted = sum(_bytes(rule.action, one) for one in found if one.decision.does == rule.action)
    return Trial(found, len(found) if is_complete else perhaps, acted, is_complete)


def _bytes(action: str, one: Tried) -> int:
    if action == models.Rule.Action.EVICT:
        return one.facts.online_bytes
    if action == models.Rule.Action.RECALL:
        return one.facts.size_bytes - one.facts.online_bytes
    return one.facts.size_bytes
