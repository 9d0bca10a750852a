"""The rules: their list, and one of them, which is tried on today's exams before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import ArgensError, NotFound
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import archive_for, told
from pacs_web.archive.doing import done, tried
from pacs_web.archive.moments import moment
from pacs_web.archive.rules import RuleForm, digest_of, filled, in_words
from pacs_web.archive.showing import Question, asked
from pacs_web.archive.telling import in_language, refusal
from pacs_web.archive.words import DOES, RULE_ACTIONS, said
from pacs_web.audit.models import Action

STUDIES_SHOWN = 200
UNPROCESSABLE = 422


@requires(Right.ARCHIVE, exam=False)
@require_safe
def rules(request: HttpRequest) -> HttpResponse:
    """Show the rules, in words."""
    context = told(request, lambda archive: {"rules": [_shown(one) for one in archive.rules()]})
    return render(request, "archive/rules.html", context)


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def rule(request: HttpRequest, rule_id: int = 0) -> HttpResponse:
    """Make a rule, or change one; a rule in force is tried before it is saved."""
    context = told(request, lambda archive: _material(archive, rule_id))
    if "problem" in context:
        return render(request, "archive/rule.html", {"rule_id": rule_id, **context})
    known = context["known"]
    choices = {"nodes": context["node_names"], "vaults": context["vault_names"]}
    form = RuleForm(
        request.POST if request.method == "POST" else None,
        initial=filled(known) if known else None,
        **choices,
    )
    context |= {"rule_id": rule_id, "form": form}
    if not form.is_bound:
        return render(request, "archive/rule.html", context)
    if not form.is_valid():
        return render(request, "archive/rule.html", context, status=UNPROCESSABLE)
    wanted = form.rule() | ({"id": rule_id} if rule_id else {})
    saves = request.POST.get("do") == "save"
    if saves and (not wanted["enabled"] or request.POST.get("tried") == digest_of(wanted)):
        if _save(request, wanted):
            return redirect("archive-rules")
        return render(request, "archive/rule.html", context)
    context |= {"unsaved": saves, "tried": digest_of(wanted), **_outcome(request, wanted)}
    return render(request, "archive/rule.html", context)


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, rule_id: int, rule_action: str) -> HttpResponse:
    """Put a rule out of force, or remove it after asking."""
    if rule_action not in {"disable", "delete"}:
        raise Http404
    if request.method != "POST":
        return asked(request, _question(rule_id, rule_action))
    text = _("The rule is removed.") if rule_action == "delete" else _("The rule is out of force.")

    def change(archive: ArchiveClient) -> None:
        if rule_action == "delete":
            archive.remove_rule(rule_id)
        else:
            archive.save_rule({**_known(archive, rule_id), "enabled": False})

    done(
        request, Action.CONFIGURE, change, text, what="archive rule", act=rule_action, rule=rule_id
    )
    return redirect("archive-rules")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "action_text": said(RULE_ACTIONS, row.get("action", "")),
        "phrases": in_words(row.get("conditions") or {}),
        "changed": moment(row.get("changed_at")),
    }


def _material(archive: ArchiveClient, rule_id: int) -> dict[str, Any]:
    status = archive.status()
    return {
        "known": _known(archive, rule_id) if rule_id else None,
        "node_names": [one["name"] for one in status["nodes"]],
        "vault_names": [one["name"] for one in status["vaults"] if not one.get("required")],
    }


def _known(archive: ArchiveClient, rule_id: int) -> dict[str, Any]:
    for one in archive.rules():
        if one["id"] == rule_id:
            return one
    raise NotFound(_("This rule is not there any more."))


def _outcome(request: HttpRequest, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what the archive says that the rule would do now."""
    try:
        answer = archive_for(request).try_rule(wanted, limit=STUDIES_SHOWN)
    except ArgensError as error:
        return {"untried": refusal(error), "tried": ""}
    studies = [
        {
            **one,
            "does_text": said(DOES, one.get("does", "")),
            "why": in_language(one.get("why")),
            "last_used": moment(one.get("last_used_at")),
        }
        for one in answer["studies"]
    ]
    return {
        "outcome": {**answer, "studies": studies},
        "phrases": in_words(wanted["conditions"]),
    }


def _save(request: HttpRequest, wanted: dict[str, Any]) -> bool:
    _answer, error = tried(
        request,
        Action.CONFIGURE,
        lambda archive: archive.save_rule(wanted),
        what="archive rule",
        act="change" if "id" in wanted else "add",
        rule=wanted["name"],
        does=wanted["action"],
        conditions=wanted["conditions"],
    )
    if error is None:
        messages.success(request, _("The rule is saved."))
    else:
        messages.error(request, refusal(error))
    return error is None


def _question(rule_id: int, rule_action: str) -> Question:
    where = {
        "action": reverse("archive-rule-act", args=[rule_id, rule_action]),
        "back": reverse("archive-rules"),
    }
    if rule_action == "delete":
        return Question(
            _("Remove this rule?"),
            [
                _("What it has done stays done; it decides nothing more."),
                _("A rule that held exams holds them no longer: they may be evicted then."),
            ],
            _("Remove"),
            danger=True,
            **where,
        )
    return Question(
        _("Put this rule out of force?"),
        [_("It stays here, and can be tried and put in force again.")],
        _("Out of force"),
        **where,
    )
