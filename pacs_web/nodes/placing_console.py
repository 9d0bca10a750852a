"""IT's page of the rules that say which server takes a new exam."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.nodes.console import UNPROCESSABLE
from pacs_web.nodes.models import Kind, Node, PlacingRule
from pacs_web.nodes.placing import modalities_of
from pacs_web.nodes.registry import first_for_new_exams


class RuleForm(forms.ModelForm):
    """What a rule is for, and the server."""

    class Meta:
        model = PlacingRule
        fields = ["modalities", "source", "department", "node"]
        labels = {
            "modalities": gettext_lazy("Modalities"),
            "source": gettext_lazy("Station or AE title"),
            "department": gettext_lazy("Department"),
            "node": gettext_lazy("Goes to"),
        }
        help_texts = {
            "modalities": gettext_lazy("CT, MR; empty for all."),
            "source": gettext_lazy("May hold * and ?."),
            "department": gettext_lazy("Institutional department or requesting service."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        able = Q(kind=Kind.OWN) | Q(kind=Kind.DICOMWEB, stores=True)
        self.fields["node"].queryset = Node.objects.filter(able)
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"

    def clean_modalities(self) -> str:
        """Refuse what is no list of modalities (CS: at most 16 letters and digits)."""
        found = modalities_of(self.cleaned_data["modalities"])
        if not all(one.isascii() and one.isalnum() and len(one) <= 16 for one in found):
            raise ValidationError(_("Modalities look like CT, MR, CR."))
        return ", ".join(found)


@requires(Right.MANAGE_NODES)
@require_http_methods(["GET", "HEAD", "POST"])
def rules(request: HttpRequest) -> HttpResponse:
    """List the rules; POST adds one at their end."""
    last = PlacingRule.objects.aggregate(last=Max("position"))["last"]
    return _edited(request, PlacingRule(position=0 if last is None else last + 1))


@requires(Right.MANAGE_NODES)
@require_http_methods(["GET", "HEAD", "POST"])
def rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Change one rule."""
    return _edited(request, get_object_or_404(PlacingRule, pk=rule_id))


@requires(Right.MANAGE_NODES)
@require_POST
def act(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Move a rule up or down, or remove it."""
    row = get_object_or_404(PlacingRule, pk=rule_id)
    asked = request.POST.get("act", "")
    if asked == "remove":
        row.delete()
        messages.success(request, _("The rule is removed."))
    elif asked in {"up", "down"}:
        _move(row, -1 if asked == "up" else 1)
    record(request, Action.CONFIGURE, what="rule for new exams", act=asked[:20], rule=rule_id)
    return redirect("placing")


def _edited(request: HttpRequest, row: PlacingRule) -> HttpResponse:
    is_new = row.pk is None
    form = RuleForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        saved = form.save()
        said = {"rule": saved.pk, "node": saved.node.name}
        done = "add" if is_new else "change"
        record(request, Action.CONFIGURE, what="rule for new exams", act=done, **said)
        messages.success(request, _("The rule is saved."))
        return redirect("placing")
    context = {
        "form": form,
        "edited": None if is_new else row.pk,
        "rules": PlacingRule.objects.select_related("node"),
        "default": first_for_new_exams(),
        "named": config.STOW_NODE,
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "nodes/placing.html", context, status=status)


@transaction.atomic
def _move(row: PlacingRule, step: int) -> None:
    rows = list(PlacingRule.objects.all())
    here = rows.index(row)
    there = min(max(here + step, 0), len(rows) - 1)
    rows.insert(there, rows.pop(here))
    for position, one in enumerate(rows):
        one.position = position
    PlacingRule.objects.bulk_update(rows, ["position"])
