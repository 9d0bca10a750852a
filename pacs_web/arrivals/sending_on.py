"""Send an exam on: the destinations its nodes know, and how far each sending is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from pacs_common.errors import ArgensError
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.arrivals.asking import Row, own_node, own_nodes
from pacs_web.arrivals.live import part, written
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record
from pacs_web.federation.fan_out import Gathered, fan_out
from pacs_web.federation.opening import holders, open_study
from pacs_web.federation.study import Study
from pacs_web.studies.views import clients_for

UNPROCESSABLE = 422
Told = dict[str, Any]


class SendForm(forms.Form):
    """The destinations that are chosen, each at the node that sends."""

    to = forms.MultipleChoiceField(
        label=gettext_lazy("Destination"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose a destination.")},
    )

    def __init__(self, *args: Any, answers: dict[str, Told], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].choices = [
            (f"{node}/{peer['ae_title']}", _named(node, peer))
            for node, told in answers.items()
            for peer in told["peers"]
            if peer["listens"]
        ]


@requires(Right.ARRIVALS)
@require_http_methods(["GET", "HEAD", "POST"])
def send(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Show where an exam can be sent and how far it is; POST sends it, or tries again."""
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    if "again" in request.POST:
        _sent_again(request, opened.study)
        return redirect("study-send", study_uid=study_uid)
    told = _asked(request, opened.study.nodes, study_uid)
    form = SendForm(request.POST or None, answers=told.answers)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            for chosen in form.cleaned_data["to"]:
                _queued(request, opened.study, *chosen.split("/", 1))
            return redirect("study-send", study_uid=study_uid)
        status = UNPROCESSABLE
    context = {
        "study": opened.study,
        "form": form,
        "failures": [one for one in opened.failures if one.node not in told.answers],
        "live": written(request, "arrivals/send_live.html", _shown(told)),
    }
    return render(request, "arrivals/send.html", context, status=status)


@requires(Right.ARRIVALS)
@require_safe
def send_live(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Show how far the sendings are: the page asks for it every three seconds."""
    found = holders(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    told = _asked(request, [node.name for node in found], study_uid)
    return part(request, "arrivals/send_live.html", _shown(told))


def _asked(request: HttpRequest, names: Iterable[str], study_uid: str) -> Gathered[Told]:
    wanted = set(names)
    nodes = [node for node in own_nodes(request) if node.name in wanted]
    return fan_out(
        nodes,
        lambda node: {"peers": node.peers()["peers"], **node.forwarding(study=study_uid)},
        config.NODE_TIMEOUT_S,
    )


def _shown(told: Gathered[Told]) -> dict[str, Any]:
    rows = [
        _row(node, one, {known["ae_title"]: known for known in answer["destinations"]})
        for node, answer in told.answers.items()
        for one in answer["studies"]
    ]
    rows.sort(key=lambda row: row["asked_at"], reverse=True)
    return {"rows": rows, "failures": told.failures}


def _row(node: str, one: Told, known: dict[str, Told]) -> Row:
    """Return one sending as people read it: what of it waits, until when, and why."""
    counts, destination = one["counts"], known.get(one["destination"], {})
    under_way = counts["waiting"] + counts["sending"]
    away = destination.get("error", "") if under_way and destination.get("away_since") else ""
    tries = [one["next_at"], destination.get("next_try_at")]
    error = away or one["error"]
    return {
        "node": node,
        "destination": one["destination"],
        "rule": one["rule"],
        "by": one["requested_by"],
        "asked_at": datetime.fromisoformat(one["asked_at"]),
        "sent": counts["sent"],
        "failed": counts["given-up"],
        "cancelled": counts["cancelled"],
        "under_way": under_way,
        "total": sum(counts.values()),
        "error": error if under_way or counts["given-up"] else "",
        "next_at": max(map(datetime.fromisoformat, filter(None, tries)), default=None)
        if under_way and error
        else None,
    }


def _queued(request: HttpRequest, study: Study, node: str, destination: str) -> None:
    said = {"node": node, "destination": destination}
    try:
        queued = own_node(request, node).forward(destination, study.uid)
    except ArgensError as error:
        _failed(request, study, error, **said)
        return
    text = ngettext(
        "%(n)d image is on its way to %(destination)s.",
        "%(n)d images are on their way to %(destination)s.",
        queued,
    )
    if not queued:
        text = _("All of it is on its way to %(destination)s already.")
    messages.success(request, text % {"n": queued, **said})
    _note(request, study, None, queued=queued, **said)


def _sent_again(request: HttpRequest, study: Study) -> None:
    """Send again what a destination did not get; where it got all, everything."""
    node, _slash, destination = request.POST["again"].partition("/")
    said = {"node": node, "destination": destination}
    named = {"destination": destination, "study_uid": study.uid}
    try:
        client = own_node(request, node)
        queued = client.resend(**named, state="given-up") or client.resend(**named)
    except ArgensError as error:
        _failed(request, study, error, **said)
        return
    text = ngettext("%(n)d image is on its way.", "%(n)d images are on their way.", queued)
    messages.success(request, text % {"n": queued})
    _note(request, study, None, queued=queued, again=True, **said)


def _failed(request: HttpRequest, study: Study, error: ArgensError, **said: str) -> None:
    why = {"destination": said["destination"], "why": error}
    messages.error(request, _("Nothing was sent to %(destination)s: %(why)s") % why)
    _note(request, study, Result.FAILED, **said)


def _note(request: HttpRequest, study: Study, result: Result | None, **detail: Any) -> None:
    patient = (study.issuer, study.patient_id)
    record(request, Action.SEND, study_uid=study.uid, patient=patient, result=result, **detail)


def _named(node: str, peer: Told) -> str:
    parts = (peer["ae_title"], peer["note"], _("from %(node)s") % {"node": node})
    return " · ".join(filter(None, parts))
