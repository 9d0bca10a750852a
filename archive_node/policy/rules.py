"""What becomes of a study: pure functions of facts, policy, rules and time.

Hold beats age, age beats space: what is held, open, quarantined, incomplete, young or not proven
in every required vault is never evicted, whatever a rule or a full disk wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from archive_node.ruling.conditions import Conditions
from archive_node.ruling.facts import Facts
from pacs_common.sentences import say

HOLD, EVICT, COPY, RECALL, NOTHING = "hold", "evict", "copy", "recall", "nothing"


@dataclass(frozen=True)
class Policy:
    """What the hospital decided for one node; watermarks are parts of its usable disk."""

    quiet_s: float
    evict_after_days: float
    high_watermark: float
    low_watermark: float
    least_age_days: float = 0.0
    approval: bool = False
    required: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Studies that meet the conditions, and what then happens to them."""

    name: str
    action: str
    conditions: Conditions
    vault: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Decision:
    """What becomes of a study, and a line that says why; a copy goes to `vaults`."""

    does: str
    why: str
    vaults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """The rules in force, and the moment at which they are asked."""

    policy: Policy
    rules: Sequence[Rule]
    now: datetime

    def decide(self, facts: Facts) -> Decision:
        """Return what becomes of a study, whatever its node's disk: copied before all else."""
        first = self.copied(facts) or self.recalled(facts)
        if first is not None:
            return first
        if not facts.online:
            return Decision(NOTHING, say("away"))
        return self.stays(facts) or self.due(facts) or Decision(NOTHING, say("stays-until-needed"))

    def copied(self, facts: Facts) -> Decision | None:
        """Return the copies that are wanted of a quiet study, by requirement or by rules."""
        # from its node, its quarantine too, or from a vault
        can_be_read = facts.online or facts.quarantine_files or facts.proven_in
        if not can_be_read or self._open(facts):
            return None
        required = [vault for vault in self.policy.required if vault not in facts.proven_in]
        ruled = [rule for rule in self._met(COPY, facts) if rule.vault not in facts.proven_in]
        vaults = tuple(dict.fromkeys([*required, *(rule.vault for rule in ruled)]))
        if not vaults:
            return None
        return Decision(COPY, _not_proven(required) if required else _by(ruled[0]), vaults)

    def recalled(self, facts: Facts) -> Decision | None:
        """Return whether a rule wants back what is away of it."""
        if facts.online >= facts.instances:
            return None
        for rule in self._met(RECALL, facts):
            return Decision(RECALL, _by(rule))
        return None

    def stays(self, facts: Facts) -> Decision | None:
        """Return why nothing evicts a study now, or None where it may go."""
        if facts.held:
            return Decision(HOLD, say("held", why=facts.held))
        for rule in self._met(HOLD, facts):
            return Decision(HOLD, held_by(rule))
        for rule in self._met(RECALL, facts):
            return Decision(NOTHING, say("rule-wants-online", rule=rule.name))
        why = self._too_early(facts)
        return Decision(NOTHING, why) if why else None

    def due(self, facts: Facts) -> Decision | None:
        """Return whether a study that may go shall go by its age, or by a rule."""
        for rule in self._met(EVICT, facts):
            return Decision(EVICT, _by(rule))
        days = self.policy.evict_after_days
        if days > 0 and self.now - facts.last_used_at >= timedelta(days=days):
            return Decision(EVICT, say("unused", unused_days=days))
        return None

    def tried(self, rule: Rule, facts: Facts) -> Decision:
        """Return what one rule would do beside these to a study that meets its conditions."""
        if rule.action == HOLD:
            return Decision(HOLD, say("held", why=facts.held) if facts.held else held_by(rule))
        beside = Rules(self.policy, [*self.rules, rule], self.now)
        if rule.action == COPY:
            return beside._tried_copy(rule, facts)
        if rule.action == RECALL:
            return beside.recalled(facts) or Decision(NOTHING, say("online"))
        if not facts.online:
            return Decision(NOTHING, say("away"))
        return beside.stays(facts) or Decision(EVICT, _by(rule))

    def _tried_copy(self, rule: Rule, facts: Facts) -> Decision:
        if rule.vault in facts.proven_in:
            return Decision(NOTHING, say("in-vault", vault=rule.vault))
        if self.copied(facts) is None:
            return Decision(NOTHING, self._open(facts) or say("nowhere"))
        return Decision(COPY, _by(rule), (rule.vault,))

    def _met(self, action: str, facts: Facts) -> Iterable[Rule]:
        return (
            rule
            for rule in self.rules
            if rule.action == action and rule.conditions.met_by(facts, self.now)
        )

    def _open(self, facts: Facts) -> str:
        if self.now - facts.last_arrival_at < timedelta(seconds=self.policy.quiet_s):
            return say("arrived", quiet_s=self.policy.quiet_s)
        return "" if facts.digests_ready else say("digests-missing")

    def _too_early(self, facts: Facts) -> str:
        if facts.quarantined:
            return say("quarantined", quarantined_count=facts.quarantined)
        if facts.incomplete:
            return say("incomplete")
        if self._open(facts):
            return self._open(facts)
        if self.now - facts.last_arrival_at < timedelta(days=self.policy.least_age_days):
            return say("young", least_days=self.policy.least_age_days)
        if not self.policy.required:
            return say("no-vault-required")
        unproven = [vault for vault in self.policy.required if vault not in facts.proven_in]
        return _not_proven(unproven) if unproven else ""


def held_by(rule: Rule) -> str:
    """Return the line that says which rule holds a study."""
    if rule.reason:
        return say("held", why=say("rule-because", rule=rule.name, reason=rule.reason))
    return say("held", why=_by(rule))


def _by(rule: Rule) -> str:
    return say("rule", rule=rule.name)


def _not_proven(vaults: Sequence[str]) -> str:
    return say("not-proven", vaults=", ".join(vaults))


def excess_bytes(
    total_bytes: int, free_bytes: int, policy: Policy, *, makes_room: bool = False
) -> int:
    """Return what must go for a disk above its high watermark to come under the low one.

    Both numbers are without the node's reserve: it is full where only that is free. A disk that
    `makes_room` was above the high one, and has not come under the low one since.
    """
    used = total_bytes - free_bytes
    if total_bytes <= 0 or not (makes_room or is_high(total_bytes, free_bytes, policy)):
        return 0
    return max(0, used - int(policy.low_watermark * total_bytes))


def is_high(total_bytes: int, free_bytes: int, policy: Policy) -> bool:
    """Return whether a disk is above its high watermark."""
    return total_bytes - free_bytes > policy.high_watermark * total_bytes


def least_recently_used(candidates: Iterable[Facts], wanted_bytes: int) -> list[Facts]:
    """Return as many as free `wanted_bytes` of studies that may go, longest unused first.

    They come in that order; fewer where there are not enough.
    """
    chosen: list[Facts] = []
    for facts in candidates:
        if wanted_bytes <= 0:
            break
        chosen.append(facts)
        wanted_bytes -= facts.online_bytes
    return chosen
