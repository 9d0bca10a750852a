"""The panel of an exam that lies on a DIMSE-only PACS: opening it brings it to our node."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation.opening import open_study
from pacs_web.federation.study import Study
from pacs_web.nodes import fetching
from pacs_web.nodes.models import Fetch, Node
from pacs_web.nodes.registry import clients


@dataclass(frozen=True)
class FetchState:
    """From where an exam comes, to which node, and how far it is."""

    source: Node
    fetch: Fetch | None

    @property
    def under_way(self) -> bool:
        """Whether it is coming."""
        return self.fetch is not None and self.fetch.state == Fetch.State.RUNNING

    @property
    def begins_by_itself(self) -> bool:
        """Whether opening the page is enough; after a failure or a stay, a person decides."""
        return self.fetch is None


def fetch_state(study: Study) -> FetchState | None:
    """Return how an exam that is not here can be brought; None where no DIMSE PACS has it."""
    source = None if study.online else fetching.source_of(study.nodes)
    if source is None:
        return None
    return FetchState(source, fetching.latest(study.uid, source))


@requires(Right.VIEW)
@require_http_methods(["GET", "POST"])
def fetch(request: HttpRequest, study_uid: str) -> HttpResponse:
    """POST: let the exam be sent here. GET: the panel that the exam's page polls meanwhile."""
    subject = request.user.get_username()
    study = open_study(
        lambda names: clients(subject, names), study_uid, config.NODE_TIMEOUT_S
    ).study
    state = fetch_state(study)
    if request.method == "POST" and state and fetching.begin(study_uid, state.source, subject):
        patient = (study.issuer, study.patient_id)
        source = state.source.name
        record(request, Action.RECALL, study_uid=study_uid, patient=patient, node=source)
    if "HX-Request" not in request.headers:
        return redirect("study", study_uid)
    state = fetch_state(study)
    if state is None or (state.fetch and state.fetch.state == Fetch.State.DONE):
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "nodes/fetch.html", {"study": study, "fetching": state})
