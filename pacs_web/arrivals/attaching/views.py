"""Attach a PDF to an exam: it is stored at the exam's node as a series of its own."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from pacs_common.errors import ArgensError, NotFound, Refused
from pacs_common.uids import Uid
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.arrivals.attaching.encapsulated import IDENTITY, Document, file_of, made
from pacs_web.arrivals.attaching.forms import AttachForm
from pacs_web.arrivals.importing.sending import HEADERS, outcome_of
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record
from pacs_web.dicomweb.storing import node_for
from pacs_web.federation.opening import OpenStudy, open_study
from pacs_web.federation.server import Server
from pacs_web.studies.views import clients_for

UNPROCESSABLE = 422


@requires(Right.UPLOAD)
@require_http_methods(["GET", "HEAD", "POST"])
def attach(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Ask for the document; POST stores it."""
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    form = AttachForm(request.POST or None, request.FILES or None)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            _attach(request, opened, form.document())
            return redirect("study", study_uid=study_uid)
        status = UNPROCESSABLE
    context = {"study": opened.study, "form": form, "failures": opened.failures}
    return render(request, "arrivals/attach.html", context, status=status)


def _attach(request: HttpRequest, opened: OpenStudy, document: Document) -> None:
    study = opened.study
    noted = {"attached": document.title, "bytes": len(document.pdf)}
    try:
        node = node_for(request, Uid.parse(study.uid), None)
        noted["node"] = node.name
        why = _stored(node, opened, document)
    except ArgensError as error:
        why = str(error)
    if why:
        messages.error(request, _("The document was not attached: %(why)s") % {"why": why})
    else:
        messages.success(request, _("Attached: “%(title)s”.") % {"title": document.title})
    record(
        request,
        Action.STORE,
        study_uid=study.uid,
        patient=(study.issuer, study.patient_id),
        result=Result.FAILED if why else Result.SUCCESS,
        **noted,
    )


def _stored(node: Server, opened: OpenStudy, document: Document) -> str:
    """Store a document beside the exam's series; return why it is not shown, "" where it is."""
    if not node.abilities.store:
        raise Refused(_("%(node)s takes no documents from here") % {"node": node.name})
    uid = opened.study.uid
    asked = {"StudyInstanceUID": uid, "includefield": ",".join(IDENTITY)}
    shown = node.qido("studies", asked)
    if not shown:
        raise NotFound(_("%(node)s does not have this exam any more") % {"node": node.name})
    number = 1 + max((series.number or 0 for series in opened.series), default=0)
    new = made(shown[0], document, number, timezone.localtime())
    content = iter([file_of(new)])
    with node.store(f"studies/{uid}", content, HEADERS, study=uid) as answer:
        outcome = outcome_of(answer.status_code, answer.read())
    return str(outcome["why"])
