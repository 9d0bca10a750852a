"""Steps two and three: choose servers, choose patient and exam."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.nodes.registry import enabled_nodes
from pacs_web.studies import recent, searches
from pacs_web.studies.asked import PAGE_SIZE, Asked, asked_by, form_of
from pacs_web.studies.forms import QUICK_DAYS, SearchForm, quick_range
from pacs_web.studies.models import SavedSearch
from pacs_web.studies.shown import chips, shown

UNPROCESSABLE = 422


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
    form = form_of(typed, names)
    if not form.is_valid():  # a server was removed since
        return _page(request, form, names, status=UNPROCESSABLE)
    asked = asked_by(request, search_id, form, names)
    return _begin(request, asked) if searches.LIVE in request.GET else _show(request, asked)


def _take(request: HttpRequest, names: list[str]) -> HttpResponse:
    typed = request.POST.copy()
    typed.pop("csrfmiddlewaretoken", None)
    quick = typed.pop(searches.QUICK, [""])[-1]
    if quick in QUICK_DAYS:
        typed.update(_only(typed, quick_range(quick)))
    form = SearchForm(typed, servers=names)
    if not form.is_valid():
        return _page(request, form, names, status=UNPROCESSABLE)
    said = {name: given for name, given in typed.lists() if name in form.fields}
    if quick in QUICK_DAYS:
        said[searches.QUICK] = [quick]
    search_id = searches.keep(request.session, said)
    return redirect(searches.address(search_id, live=searches.LIVE in typed))


def _only(typed: QueryDict, replaced: dict[str, str]) -> dict[str, str]:
    for name in replaced:
        typed.pop(name, None)
    return replaced


def _begin(request: HttpRequest, asked: Asked) -> HttpResponse:
    """Show who is asked; the page's script fetches the answers as they arrive."""
    asking = chips([one.name for one in asked.servers], None, PAGE_SIZE)
    return _page(request, asked.form, asked.names, asking=asking, search_id=asked.search_id)


def _show(request: HttpRequest, asked: Asked) -> HttpResponse:
    bookmark = asked.bookmark(request.GET.get("page", ""))
    found = asked.listing().page(bookmark)
    first = bookmark is None
    asked.note(request, found, first=first)
    result = shown(found, asked.search_id, first=first)
    if "HX-Request" in request.headers:
        return render(request, "studies/rows.html", {"result": result})
    return _page(request, asked.form, asked.names, result=result, search_id=asked.search_id)


def _page(
    request: HttpRequest, form: SearchForm, names: list[str], *, status: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "form": form,
        "names": names,
        "saved": SavedSearch.objects.filter(owner=request.user),
        "recent": recent.of_person(request),
        **more,
    }
    return render(request, "studies/search.html", context, status=status)
