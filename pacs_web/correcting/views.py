"""Correct whose an exam is: the form, the question, the result, the history, the undoing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_common.errors import ArgensError
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record
from pacs_web.correcting import asking
from pacs_web.correcting.forms import FIELDS, MOVED, FindForm, IdentityForm, typed
from pacs_web.correcting.patients import found as patients_found
from pacs_web.correcting.shown import row_of
from pacs_web.federation.opening import OpenStudy, holders, open_study
from pacs_web.nodes.registry import clients
from pacs_web.nodes.servers.own import OwnServer
from pacs_web.studies.views import clients_for
from pacs_web.templatetags.correcting_text import failure_text

UNPROCESSABLE = 422


@requires(Right.CORRECT)
@require_http_methods(["GET", "HEAD", "POST"])
def correct(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Show the form; POST finds a patient, shows what would change, or changes it."""
    opened = _opened(request, study_uid)
    step = request.POST.get("step", "") if request.method == "POST" else ""
    if step == "find":
        return _find(request, opened)
    if step in ("preview", "apply"):
        return _ask(request, opened, is_preview=step == "preview")
    filled = _chosen(request) if "use" in request.POST else {}
    return _page(request, opened, filled=filled)


@requires(Right.CORRECT)
@require_POST
def undo(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Undo a correction on every node that has it."""
    opened = _opened(request, study_uid)
    nodes = asking.holders(request.user.get_username(), opened.study.nodes)
    done = asking.undo(nodes, request.POST.get("correction", "-")[:64])
    undone = [name for name, told in done.answers.items() if told]
    for failure in done.failures:
        messages.error(request, f"{failure.node}: {failure_text(failure)}")
    if undone:
        messages.success(request, _("Undone on %(nodes)s.") % {"nodes": ", ".join(undone)})
    _record(request, opened, Result.FAILED if done.failures else None, undone=undone)
    return redirect("correct", study_uid)


@requires(Right.CORRECT)
@require_POST
def resend(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Send an exam as it is shown now to those who have it as it was."""
    opened = _opened(request, study_uid)
    node_name, correction = request.POST.get("node", ""), request.POST.get("correction", "-")[:64]
    destinations = request.POST.getlist("destination")
    for node in asking.holders(request.user.get_username(), {node_name}):
        try:
            queued = sum(node.resend_corrected(correction, destinations).values())
        except ArgensError as error:
            messages.error(request, f"{node_name}: {error}")
        else:
            text = ngettext("%(n)d image is on its way.", "%(n)d images are on their way.", queued)
            messages.success(request, text % {"n": queued})
            _record(request, opened, None, sent_again=destinations)
    return redirect("correct", study_uid)


@requires(Right.VIEW)
@require_safe
def mark(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Say on the exam's page that it was corrected; nothing where it was not."""
    held_by = holders(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    nodes = asking.holders(request.user.get_username(), {node.name for node in held_by})
    state = asking.state_of(nodes, study_uid)
    entries = [entry for entry in state.history() if entry.in_force]
    shown = {"study_uid": study_uid, "corrections": len(entries), "last": entries[:1]}
    return render(request, "correcting/mark.html", shown)


def _opened(request: HttpRequest, study_uid: str) -> OpenStudy:
    return open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)


def _find(request: HttpRequest, opened: OpenStudy) -> HttpResponse:
    form = FindForm(request.POST)
    if not form.is_valid():
        return _page(request, opened, find=form, status=UNPROCESSABLE)
    query = form.query()
    patients, failures = patients_found(clients(request.user.get_username()), query)
    record(request, Action.SEARCH, query=query, page="correct", found=len(patients))
    searched = {"find": form, "patients": patients, "search_failures": failures}
    return _page(request, opened, **searched)


def _chosen(request: HttpRequest) -> dict[str, str]:
    """Return the identity of the patient who was chosen in the list, as fields."""
    try:
        told = json.loads(request.POST["use"])
        values = {keyword: str(told[keyword]) for keyword in FIELDS if keyword in told}
    except (ValueError, TypeError, KeyError):
        return {}
    return {**typed(values), "kind": MOVED}


def _page(
    request: HttpRequest,
    opened: OpenStudy,
    *,
    form: IdentityForm | None = None,
    filled: dict[str, str] | None = None,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    nodes = asking.holders(request.user.get_username(), opened.study.nodes)
    state = asking.state_of(nodes, opened.study.uid, receivers=True)
    if form is None:
        form = IdentityForm(initial={**typed(state.shown), **(filled or {})})
    context = {
        "study": opened.study,
        "failures": [*opened.failures, *state.failures],
        "can_correct": bool(state.answers),
        "foreign": sorted(set(opened.study.nodes) - {node.name for node in nodes}),
        "form": form,
        "rows": [row_of(form[name], state.shown.get(key, "")) for key, name in FIELDS.items()],
        "is_filled": bool(filled),
        "find": FindForm(),
        "history": state.history(),
        **more,
    }
    return render(request, "correcting/correct.html", context, status=status)


def _ask(request: HttpRequest, opened: OpenStudy, *, is_preview: bool) -> HttpResponse:
    """Let the nodes try a correction and ask the person, or apply it and tell the result."""
    form = IdentityForm(request.POST)
    if not form.is_valid():
        return _page(request, opened, form=form, status=UNPROCESSABLE)
    nodes = asking.holders(request.user.get_username(), _may_hold(request, opened))
    asked = {
        "study_uid": opened.study.uid,
        "id": request.POST.get("id") or str(uuid.uuid4()),
        "kind": form.cleaned_data["kind"],
        "why": form.cleaned_data["why"],
        "values": form.values(),
    }
    latest = _latest(request, nodes, opened.study.uid, is_preview=is_preview)
    done = asking.correct(nodes, asked, latest, preview=is_preview)
    if is_preview and not done.answers:
        for failure in done.failures:
            form.add_error(None, f"{failure.node}: {failure_text(failure)}")
        return _page(request, opened, form=form, status=UNPROCESSABLE)
    if not is_preview:
        _note_applied(request, opened, asked, done)
    context = {
        "study": opened.study,
        "form": form,
        "id": asked["id"],
        "latest": latest,
        "correction": next((told["correction"] for told in done.answers.values()), None),
        "done": done,
    }
    page = "correcting/confirm.html" if is_preview else "correcting/result.html"
    return render(request, page, context)


def _latest(
    request: HttpRequest, nodes: Sequence[OwnServer], study_uid: str, *, is_preview: bool
) -> dict[str, str]:
    """Return the last correction that the person has seen, by node."""
    if is_preview:
        return asking.state_of(nodes, study_uid).latest
    fields = {node.name: f"latest-{node.name}" for node in nodes}
    return {name: request.POST[field] for name, field in fields.items() if field in request.POST}


def _may_hold(request: HttpRequest, opened: OpenStudy) -> set[str]:
    """Return the servers that hold an exam, did when it was shown, or are silent and may.

    One that went away between question and answer must be named, and never be passed over.
    """
    asked_before = {
        name.removeprefix("latest-") for name in request.POST if name.startswith("latest-")
    }
    silent = {failure.node for failure in opened.failures}
    return {*opened.study.nodes, *asked_before, *silent}


def _note_applied(
    request: HttpRequest, opened: OpenStudy, asked: dict[str, Any], done: Any
) -> None:
    result = Result.FAILED if done.failures else None
    after = next((told["correction"]["patient_after"] for told in done.answers.values()), None)
    if after is not None:  # later rows name the patient whose exam it is now
        patient = (after["issuer"], after["id"])
        _record(request, opened, result, patient, nodes=list(done.answers), why=asked["why"])
    else:
        _record(request, opened, result, nodes=[], why=asked["why"])


def _record(
    request: HttpRequest,
    opened: OpenStudy,
    result: Result | None,
    patient: tuple[str, str] | None = None,
    **detail: Any,
) -> None:
    study = opened.study
    key = patient or (study.issuer, study.patient_id)
    record(request, Action.CORRECT, study_uid=study.uid, patient=key, result=result, **detail)
