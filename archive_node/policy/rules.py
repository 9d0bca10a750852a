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
            return Decision(NOTHING, "it is away")
        return (
            self.stays(facts)
            or self.due(facts)
            or Decision(NOTHING, "it stays until space is needed")
        )

    def copied(self, facts: Facts) -> Decision | None:
        """Return the copies that are wanted of a quiet study, by requirement or by rules."""
        can_be_read = facts.online or facts.proven_in  # from its node, or from a vault
        if not can_be_read or self._open(facts):
            return None
        required = [vault for vault in self.policy.required if vault not in facts.proven_in]
        ruled = [rule for rule in self._met(COPY, facts) if rule.vault not in facts.proven_in]
        vaults = tuple(dict.fromkeys([*required, *(rule.vault for rule in ruled)]))
        if not vaults:
            return None
        why = f"not proven in {', '.join(required)}" if required else f"rule {ruled[0].name}"
        return Decision(COPY, why, vaults)

    def recalled(self, facts: Facts) -> Decision | None:
        """Return whether a rule wants back what is away of it."""
        if facts.online >= facts.instances:
            return None
        for rule in self._met(RECALL, facts):
            return Decision(RECALL, f"rule {rule.name}")
        return None

    def stays(self, facts: Facts) -> Decision | None:
        """Return why nothing evicts a study now, or None where it may go."""
        if facts.held:
            return Decision(HOLD, f"held: {facts.held}")
        for rule in self._met(HOLD, facts):
            return Decision(HOLD, held_by(rule))
        for rule in self._met(RECALL, facts):
            return Decision(NOTHING, f"rule {rule.name} wants it online")
        why = self._too_early(facts)
        return Decision(NOTHING, why) if why else None

    def due(self, facts: Facts) -> Decision | None:
        """Return whether a study that may go shall go by its age, or by a rule."""
        for rule in self._met(EVICT, facts):
            return Decision(EVICT, f"rule {rule.name}")
        days = self.policy.evict_after_days
        if days > 0 and self.now - facts.last_used_at >= timedelta(days=days):
            return Decision(EVICT, f"unused for {days:g} days")
        return None

    def tried(self, rule: Rule, facts: Facts) -> Decision:
        """Return what one rule would do beside these to a study that meets its conditions."""
        if rule.action == HOLD:
            return Decision(HOLD, f"held: {facts.held}" if facts.held else held_by(rule))
        beside = Rules(self.policy, [*self.rules, rule], self.now)
        if rule.action == COPY:
            return beside._tried_copy(rule, facts)
        if rule.action == RECALL:
            return beside.recalled(facts) or Decision(NOTHING, "it is online")
        if not facts.online:
            return Decision(NOTHING, "it is away")
        return beside.stays(facts) or Decision(EVICT, f"rule {rule.name}")

    def _tried_copy(self, rule: Rule, facts: Facts) -> Decision:
        if rule.vault in facts.proven_in:
            return Decision(NOTHING, f"it is in {rule.vault}")
        if self.copied(facts) is None:
            return Decision(NOTHING, self._open(facts) or "neither online nor in another vault")
        return Decision(COPY, f"rule {rule.name}", (rule.vault,))

    def _met(self, action: str, facts: Facts) -> Iterable[Rule]:
        return (
            rule
            for rule in self.rules
            if rule.action == action and rule.conditions.met_by(facts, self.now)
        )

    def _open(self, facts: Facts) -> str:
        if self.now - facts.last_arrival_at < timedelta(seconds=self.policy.quiet_s):
            return f"something arrived within {self.policy.quiet_s:g} s"
        return "" if facts.digests_ready else "its node has not computed all digests"

    def _too_early(self, facts: Facts) -> str:
        if facts.quarantined:
            return f"{facts.quarantined} of it wait for a decision in quarantine"
        if facts.incomplete:
            return "a transfer of it did not end well"
        if self._open(facts):
            return self._open(facts)
        if self.now - facts.last_arrival_at < timedelta(days=self.policy.least_age_days):
            return f"something arrived within {self.policy.least_age_days:g} days"
        if not self.policy.required:
            return "no vault is required, so nothing proves it"
        unproven = [vault for vault in self.policy.required if vault not in facts.proven_in]
        return f"not proven in {', '.join(unproven)}" if unproven else ""


def held_by(rule: Rule) -> str:
    """Return the line that says which rule holds a study."""
    return f"held: rule {rule.name}" + (f", {rule.reason}" if rule.reason else "")


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
