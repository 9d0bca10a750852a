"""Saves and removes rules; each change is a line of the audit."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from archive_node import trail
from archive_node.models import Rule
from pacs_common import errors
from pacs_common.sentences import say


def save(rule: Rule, by: str) -> Rule:
    """Keep a rule, anew or (where it has an id) instead of the one with that id.

    Raises NotFound, or Conflict where another rule has its name.
    """
    rule.changed_at, rule.changed_by = timezone.now(), by[:200]
    try:
        with transaction.atomic():
            if rule.id is not None and not Rule.objects.filter(id=rule.id).exists():
                raise errors.NotFound(say("rule-unknown", rule=rule.id))
            rule.save()
            _note("rule-saved", by, rule)
    except IntegrityError:
        raise errors.Conflict(say("rule-named-alike", name=rule.name)) from None
    return rule


def remove(rule_id: int, by: str) -> None:
    """Forget a rule; raises NotFound."""
    with transaction.atomic():
        rule = Rule.objects.filter(id=rule_id).first()
        if rule is None:
            raise errors.NotFound(say("rule-unknown", rule=rule_id))
        _note("rule-removed", by, rule)
        rule.delete()


def _note(kind: str, by: str, rule: Rule) -> None:
    told: dict[str, Any] = {
        "rule": rule.id, "name": rule.name, "operation": rule.action, "enabled": rule.enabled,
        "conditions": rule.conditions, "vault": rule.vault, "why": rule.reason,
    }  # fmt: skip
    trail.note(kind, by, **told)
