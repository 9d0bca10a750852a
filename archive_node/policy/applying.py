"""Copies and recalls that rules want: what the database proposes and the rules confirm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archive_node import library
from archive_node.models import Job
from archive_node.policy import selection
from archive_node.policy.evictions import usable_bytes
from archive_node.policy.relief import under_way_bytes
from archive_node.policy.requests import RULE, request_all
from archive_node.policy.rules import COPY, RECALL, Rules, is_high

MOST_COPIES = 500  # of one vault, new ones in one scan: a queue of a million rows helps nobody
MOST_RECALLS = 20
MOST_OPEN = 2000


def copy_what_is_quiet(node: str, asked: Rules) -> None:
    """Ask for the copies that requirement or a rule wants, in each vault, the oldest first."""
    for vault in library.specs():
        rows = selection.to_copy(node, vault, asked.policy, asked.now)
        if vault in asked.policy.required:
            _copy(node, vault, asked, rows)
            continue
        ruled = [rule for rule in asked.rules if rule.action == COPY and rule.vault == vault]
        if ruled:
            meant = selection.meant(replace(asked, rules=ruled), COPY)
            _copy(node, vault, asked, rows.filter(meant))


def recall_by_rules(node: str, disk: dict[str, Any], asked: Rules) -> None:
    """Ask for what rules want back while the disk has room below its high watermark."""
    usable, free = usable_bytes(disk)
    free -= under_way_bytes(node)
    for rule in asked.rules:
        if rule.action != RECALL:
            continue
        found = []
        rows = selection.to_recall(node, rule.conditions, asked.now)
        for facts in selection.facts(rows.iterator(selection.PAGE)):
            decision = asked.recalled(facts)
            if decision is None:
                continue
            free -= facts.size_bytes - facts.online_bytes
            if len(found) == MOST_RECALLS or is_high(usable, free, asked.policy):
                break
            found.append(facts.study_uid)
        request_all(RECALL, node, found, RULE)


def _copy(node: str, vault: str, asked: Rules, rows: Any) -> None:
    opened = Job.objects.filter(kind=COPY, node=node, vault=vault, state__in=Job.OPEN)
    most = min(MOST_COPIES, MOST_OPEN - opened.count())
    found: list[str] = []
    for facts in selection.facts(rows.iterator(selection.PAGE)) if most > 0 else ():
        decision = asked.copied(facts)
        if decision is not None and vault in decision.vaults:
            found.append(facts.study_uid)
        if len(found) >= most:
            break
    request_all(COPY, node, found, RULE, vault=vault)
