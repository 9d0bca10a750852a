"""Steps two to four: choose servers, choose patient and exam, see the exam."""

from __future__ import annotations

from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.recall import recall_state
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation import locate
from pacs_web.federation.opening import Clients, open_study
from pacs_web.federation.search import LIMIT_A_NODE, SearchResult
from pacs_web.federation.search import search as search_nodes
from pacs_web.nodes.registry import clients, enabled_nodes
from pacs_web.studies import searches
from pacs_web.studies.forms import QUICK_DAYS, SearchForm, quick_range

UNPROCESSABLE = 422


def clients_for(request: HttpRequest) -> Clients:
    """Return how the nodes are asked on behalf of the person of `request`."""
    return partial(clients, request.user.get_username())


@requires(Right.SEARCH)
@require_http_methods(["GET", "HEAD", "POST"])
def search(request: HttpRequest) -> HttpResponse:
    """Take a search, keep it, and show what the chosen servers answer."""
    names = [node.name for node in enabled_nodes()]
    if request.method == "POST":
        return _take(request, names)
    search_id = request.GET.get("search", "")
    if not search_id:
        return _page(request, SearchForm(servers=names, initial={"servers": names}), names)
    typed = searches.kept(request.session, search_id)
    if typed is None:
        messages.info(request, _("That search has ended. Please search again."))
        return redirect("search")
    return _show(request, typed, names)


def _take(request: HttpRequest, names: list[str]) -> HttpResponse:
    typed = request.POST.copy()
    typed.pop("csrfmiddlewaretoken", None)
    quick = typed.pop("quick", [""])[-1]
    if quick in QUICK_DAYS:
        typed.update(_only(typed, quick_range(quick)))
    form = SearchForm(typed, servers=names)
    if not form.is_valid():
        return _page(request, form, names, status=UNPROCESSABLE)
    said = {name: given for name, given in typed.lists() if name in form.fields}
    search_id = searches.keep(request.session, said)
    return redirect(f"{reverse('search')}?search={search_id}")


def _only(typed: QueryDict, replaced: dict[str, str]) -> dict[str, str]:
    for name in replaced:
        typed.pop(name, None)
    return replaced


def _show(request: HttpRequest, typed: searches.Typed, names: list[str]) -> HttpResponse:
    data = QueryDict(mutable=True)
    for name, given in typed.items():
        data.setlist(name, given)
    form = SearchForm(data, servers=names)
    if not form.is_valid():  # a server was removed since
        return _page(request, form, names, status=UNPROCESSABLE)
    chosen = form.cleaned_data["servers"] or names
    query = form.qido()
    asked = clients(request.user.get_username(), chosen)
    result = search_nodes(asked, query, config.NODE_TIMEOUT_S)
    locate.remember(result.holders, complete=result.whole and set(chosen) == set(names))
    record(request, Action.SEARCH, query=query, servers=chosen, found=len(result.studies))
    return _page(request, form, names, result=result)


def _page(
    request: HttpRequest,
    form: SearchForm,
    names: list[str],
    *,
    result: SearchResult | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"form": form, "names": names, "result": result, "limit": LIMIT_A_NODE}
    return render(request, "studies/search.html", context, status=status)


@requires(Right.VIEW)
@require_safe
def study(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Show one exam: the patient, its series, and where its images are."""
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    exam = opened.study
    patient = (exam.issuer, exam.patient_id)
    record(request, Action.STUDY, study_uid=study_uid, patient=patient)
    return render(
        request,
        "studies/study.html",
        {
            "study": exam,
            "series": opened.series,
            "failures": opened.failures,
            "latest_search": searches.latest(request.session),
            "recall": None if exam.online else recall_state(request, exam),
        },
    )
