"""What people decided: the policy of each node, and the rules in force."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings

from archive_node import library, models
from archive_node.models import NodePolicy
from archive_node.policy.rules import Policy, Rule, Rules
from archive_node.ruling import conditions


def policy_of(node: str = "") -> Policy:
    """Return a node's policy: what was decided for it, else what the settings say."""
    config = settings.ARCHIVE
    own = NodePolicy.objects.filter(name=node).first() or NodePolicy(name=node)
    high = _first(own.high_watermark, config.high_watermark)
    return Policy(
        quiet_s=config.quiet_s,
        evict_after_days=config.evict_after_days,
        high_watermark=high,
        low_watermark=min(high, _first(own.low_watermark, config.low_watermark)),
        least_age_days=_first(own.least_age_days, config.least_age_days),
        approval=_first(own.approval, config.evict_approval),
        required=tuple(library.required()),
    )


def rule_of(row: models.Rule) -> Rule:
    """Return a stored rule as it is asked."""
    found = conditions.read(row.conditions)
    return Rule(row.name, row.action, found, vault=row.vault, reason=row.reason)


def rules_of(node: str, now: datetime, *, but: int | None = None) -> Rules:
    """Return a node's policy with the rules in force, all but the one with the id `but`."""
    rows = models.Rule.objects.filter(enabled=True).exclude(id=but).order_by("id")
    return Rules(policy_of(node), [rule_of(row) for row in rows], now)


def _first(decided: Any, default: Any) -> Any:
    return default if decided is None else decided
