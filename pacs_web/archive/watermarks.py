"""How full each node may become, what is too young to leave it, and who approves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from pacs_common.archive_client import ArchiveClient
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.doing import done
from pacs_web.audit.models import Action

UNPROCESSABLE = 422
APPROVAL = [
    ("", gettext_lazy("As set for all")),
    ("yes", gettext_lazy("A person approves each list")),
    ("no", gettext_lazy("By itself")),
]
_CHOSEN = {"yes": True, "no": False, "": None}


class WatermarkForm(forms.Form):
    """The marks of one node; what is empty is the default for all."""

    high = forms.FloatField(
        label=gettext_lazy("Free from (percent full)"),
        required=False,
        min_value=1,
        max_value=100,
        help_text=gettext_lazy("Above this, a list is made of what may leave."),
    )
    low = forms.FloatField(
        label=gettext_lazy("Down to (percent full)"), required=False, min_value=0, max_value=100
    )
    least_age_days = forms.FloatField(
        label=gettext_lazy("Never younger than (days)"), required=False, min_value=0
    )
    approval = forms.ChoiceField(label=gettext_lazy("Approval"), choices=APPROVAL, required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse a low mark that is not below the high one."""
        given = super().clean() or self.cleaned_data
        high, low = given.get("high"), given.get("low")
        if high is not None and low is not None and low >= high:
            self.add_error("low", ValidationError(_("It must be below the mark above.")))
        return given

    def policy(self) -> dict[str, Any]:
        """Return what was decided, as the archive takes it."""
        given = self.cleaned_data
        return {
            "high_watermark": _share(given["high"]),
            "low_watermark": _share(given["low"]),
            "least_age_days": given["least_age_days"],
            "approval": _CHOSEN[given["approval"]],
        }


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def watermarks(request: HttpRequest) -> HttpResponse:
    """Show each node's marks; POST decides those of the node that the form names."""
    name = request.POST.get("node", "")
    bound = WatermarkForm(request.POST, prefix=name) if request.method == "POST" else None
    if bound is not None and bound.is_valid():
        policy = bound.policy()
        done(
            request,
            Action.CONFIGURE,
            lambda archive: archive.set_node_policy(name, **policy),
            _("The marks of %(node)s are saved.") % {"node": name},
            what="archive watermarks",
            node=name,
            **policy,
        )
        return redirect("archive-watermarks")
    context = told(request, lambda archive: _shown(archive, name, bound))
    if bound is not None and not any(one["form"] is bound for one in context.get("nodes", [])):
        raise Http404
    status = UNPROCESSABLE if bound is not None else 200
    return render(request, "archive/watermarks.html", context, status=status)


def _shown(archive: ArchiveClient, name: str, bound: WatermarkForm | None) -> dict[str, Any]:
    status = archive.status()
    default = status.get("policy") or {}
    nodes = [
        {**node, "form": bound if node["name"] == name and bound else _form(node, default)}
        for node in status["nodes"]
    ]
    marks = {one: _percent(default.get(f"{one}_watermark")) for one in ("high", "low")}
    return {"nodes": nodes, "default": marks}


def _form(node: Mapping[str, Any], default: Mapping[str, Any]) -> WatermarkForm:
    """Return a node's form: what is the default for all stands in it as a hint, not as a value."""
    initial = {"approval": "yes" if node.get("approval") else ""}
    if node.get("least_age_days") != default.get("least_age_days", 0):
        initial["least_age_days"] = node.get("least_age_days")
    form = WatermarkForm(initial=initial, prefix=node["name"])
    for mark in ("high", "low"):
        own, usual = node.get(f"{mark}_watermark"), default.get(f"{mark}_watermark")
        if own != usual:
            form.initial[mark] = _percent(own)
        form.fields[mark].widget.attrs["placeholder"] = _percent(usual)
    return form


def _percent(share: float | None) -> float | int | str:
    if share is None:
        return ""
    percent = round(100 * share, 1)
    return int(percent) if percent == int(percent) else percent


def _share(percent: float | None) -> float | None:
    return None if percent is None else round(percent / 100, 4)
