"""Searches that a person keeps under a name."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.nodes.registry import enabled_nodes
from pacs_web.studies import searches
from pacs_web.studies.forms import QUICK_DAYS, quick_range
from pacs_web.studies.models import SavedSearch

MOST_SAVED = 30
LONGEST_NAME = 60


@requires(Right.SEARCH)
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep a search of this session under a name; the same name again replaces it."""
    search_id = request.POST.get("search", "")
    name = " ".join(request.POST.get("name", "").split())[:LONGEST_NAME]
    typed = searches.kept(request.session, search_id)
    if typed is None or not name:
        messages.info(request, _("Search first, then give the search a name."))
        return redirect(searches.address(search_id) if typed else "search")
    mine = SavedSearch.objects.filter(owner=request.user)
    if mine.exclude(name=name).count() >= MOST_SAVED:
        said = _("You keep %(number)s searches already: remove one first.")
        messages.warning(request, said % {"number": MOST_SAVED})
    else:
        mine.update_or_create(owner=request.user, name=name, defaults={"typed": typed})
        messages.success(request, _("The search is kept as “%(name)s”.") % {"name": name})
    return redirect(searches.address(search_id))


@requires(Right.SEARCH)
@require_POST
def reopen(request: HttpRequest, saved_id: int) -> HttpResponse:
    """Search again what was kept; "today" and its like mean the present day."""
    saved = SavedSearch.objects.filter(owner=request.user, pk=saved_id).first()
    if saved is None:
        return _unknown(request)
    typed = dict(saved.typed)
    quick = (typed.get(searches.QUICK) or [""])[-1]
    if quick in QUICK_DAYS:
        typed |= {name: [day] for name, day in quick_range(quick).items()}
    known = {node.name for node in enabled_nodes()}
    typed["servers"] = [name for name in typed.get("servers", []) if name in known]
    search_id = searches.keep(request.session, typed)
    return redirect(searches.address(search_id, live=searches.LIVE in request.POST))


@requires(Right.SEARCH)
@require_POST
def remove(request: HttpRequest, saved_id: int) -> HttpResponse:
    """Keep a search no longer."""
    saved = SavedSearch.objects.filter(owner=request.user, pk=saved_id).first()
    if saved is None:
        return _unknown(request)
    saved.delete()
    messages.success(request, _("“%(name)s” is not kept any more.") % {"name": saved.name})
    return redirect("search")


def _unknown(request: HttpRequest) -> HttpResponse:
    messages.info(request, _("You keep no such search."))
    return redirect("search")
