"""Rules: list, save and remove them, and try one before it is saved."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from archive_node import library, nodes
from archive_node.api import asked
from archive_node.api.guard import body, ticketed
from archive_node.models import Rule
from archive_node.policy import rulebook, trial
from archive_node.ruling import conditions
from pacs_common import errors
from pacs_common.tickets import Ticket

_FIELDS = {
    "id", "name", "action", "vault", "reason", "enabled", "conditions", "changed_at", "changed_by",
}  # fmt: skip


def as_json(rule: Rule) -> dict[str, Any]:
    """Return a rule as docs/interfaces.md shows it."""
    return {
        "id": rule.id,
        "name": rule.name,
        "action": rule.action,
        "vault": rule.vault,
        "reason": rule.reason,
        "enabled": rule.enabled,
        "conditions": rule.conditions,
        "changed_at": rule.changed_at.isoformat(),
        "changed_by": rule.changed_by,
    }


@ticketed(GET="archive.read", POST="archive.operate")
def rules(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List the rules, by name, or save a new one."""
    if request.method == "POST":
        made = rulebook.save(_read(body(request)), ticket.subject)
        return JsonResponse({"rule": as_json(made)}, status=201)
    rows = Rule.objects.order_by("name")
    return JsonResponse({"rules": [as_json(row) for row in asked.page(rows, request.GET, 1000)]})


@ticketed(PUT="archive.operate", DELETE="archive.operate")
def rule(request: HttpRequest, ticket: Ticket, rule_id: int) -> HttpResponse:
    """Change a rule, or remove it."""
    if request.method == "DELETE":
        rulebook.remove(rule_id, ticket.subject)
        return HttpResponse(status=204)
    changed = _read(body(request))
    changed.id = rule_id
    return JsonResponse({"rule": as_json(rulebook.save(changed, ticket.subject))})


@ticketed(POST=("archive.read", "archive.operate"))
def tried(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Show study by study what a rule would do now, beside all others; nothing is done."""
    wanted = body(request)
    found = trial.tried(_read(wanted), saved_id=_saved_id(wanted))
    page = asked.page(found.studies, request.GET, default=asked.MOST)
    return JsonResponse(
        {
            "studies": [_study(study) for study in page],
            "total": found.total,
            "bytes": found.acted_bytes,
            "complete": found.is_complete,
        }
    )


def _study(study: trial.Tried) -> dict[str, Any]:
    facts, decision = study.facts, study.decision
    return {
        "node": facts.node,
        "study_uid": facts.study_uid,
        "study_date": facts.study_date,
        "modalities": list(facts.modalities),
        "description": facts.description,
        "size_bytes": facts.size_bytes,
        "last_used_at": facts.last_used_at.isoformat(),
        "does": decision.does,
        "why": decision.why,
    }


def _read(told: dict[str, Any]) -> Rule:
    """Return the rule of a body, not saved; raises BadInput naming the field."""
    for field in told:
        if field not in _FIELDS:
            raise errors.BadInput(f"{field[:40]!r} is not something that a rule has")
    found = Rule(
        name=asked.text(told, "name", 80),
        action=asked.choice(told, "action", Rule.Action.values),
        reason=asked.text(told, "reason", 200, empty=True),
        vault=asked.text(told, "vault", 32, empty=True),
        enabled=told.get("enabled", True),
        conditions={} if told.get("conditions") is None else told["conditions"],
    )
    conditions.read(found.conditions, nodes.names())
    if not isinstance(found.enabled, bool):
        raise errors.BadInput("enabled is true or false")
    is_copy = found.action == Rule.Action.COPY
    if is_copy and (found.vault not in library.specs() or found.vault in library.required()):
        raise errors.BadInput("vault: a copy goes to a vault that is not required anyhow")
    if found.vault and not is_copy:
        raise errors.BadInput("vault: only a copy has one")
    return found


def _saved_id(told: dict[str, Any]) -> int | None:
    saved = told.get("id")
    is_id = isinstance(saved, int) and not isinstance(saved, bool) and 0 < saved < 2**63
    return saved if is_id else None
