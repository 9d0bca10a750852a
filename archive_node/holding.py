"""Why a study is held: by a person, by a rule, or by its own node."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from archive_node.models import Hold, Rule, StudyFacts
from archive_node.ruling import conditions
from archive_node.ruling.facts import Facts
from pacs_common.sentences import say


def in_force(node: str, study_uids: Iterable[str]) -> dict[str, str]:
    """Return why a person holds each of these studies; those that nobody holds are left out."""
    rows = Hold.objects.filter(node=node, study_uid__in=study_uids, released_at=None)
    return {row.study_uid: told(row) for row in rows.order_by("-id")}  # the first one stands


def told(hold: Hold) -> str:
    """Return a hold as one line."""
    by = {"hold_kind": hold.kind, "person": hold.held_by}
    if hold.reason:
        return say("held-by-person-because", reason=hold.reason, **by)
    return say("held-by-person", **by)


def why_held(node: str, study_uid: str) -> str:
    """Return why a study may not be evicted now, by whoever holds it; empty where nobody does.

    A step asks this once more before it evicts: a hold may be younger than its job.
    """
    held = in_force(node, [study_uid]).get(study_uid, "")
    row = StudyFacts.objects.filter(node=node, study_uid=study_uid).first()
    if held or row is None or row.last_arrival_at is None:
        return held
    return say("held-by-node") if row.held else _by_rule(facts_of(row), timezone.now())


def facts_of(row: StudyFacts, *, held: str = "", proven_in: frozenset[str] = frozenset()) -> Facts:
    """Return a row, which has an arrival, as rules see it."""
    return Facts(
        node=row.node,
        study_uid=row.study_uid,
        instances=row.instances,
        online=row.online,
        size_bytes=row.size_bytes,
        online_bytes=row.online_bytes,
        digests_ready=row.digests_ready,
        last_arrival_at=row.last_arrival_at,
        last_access_at=row.last_access_at,
        recalled_at=row.recalled_at,
        quarantined=row.quarantined,
        quarantine_files=row.quarantine_files,
        incomplete=row.incomplete,
        held=held or (say("held-by-node") if row.held else ""),
        proven_in=proven_in,
        modalities=tuple(filter(None, row.modalities.split("\\"))),
        department=row.department,
        description=row.description,
        study_date=row.study_date,
        birth_date=row.birth_date,
    )


def _by_rule(facts: Facts, now: datetime) -> str:
    for rule in Rule.objects.filter(action=Rule.Action.HOLD, enabled=True).order_by("id"):
        if conditions.read(rule.conditions).met_by(facts, now):
            return say("rule", rule=rule.name)
    return ""
