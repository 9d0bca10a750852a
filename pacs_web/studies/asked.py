"""What a person's search asks: what was typed, of which servers, and the query that it means."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, QueryDict

from pacs_web import config
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation import locate
from pacs_web.federation.bookmark import Bookmark, opened
from pacs_web.federation.listing import Listing, Page
from pacs_web.federation.server import Server, all_shown
from pacs_web.nodes.registry import clients
from pacs_web.studies import searches
from pacs_web.studies.forms import SearchForm

PAGE_SIZE = 50


@dataclass(frozen=True)
class Asked:
    """A kept search with its valid form, and the servers that are asked, of all `names`."""

    search_id: str
    form: SearchForm
    names: list[str]
    servers: list[Server]

    def listing(self) -> Listing:
        """Return the list that the search asks for, to be read page by page."""
        return Listing(
            self.servers, self.form.qido(), size=PAGE_SIZE, deadline_s=config.NODE_TIMEOUT_S
        )

    def bookmark(self, token: str) -> Bookmark | None:
        """Return where a page begins; None for the first. Raises BadQuery."""
        return opened(token, self.search_id) if token else None

    def note(self, request: HttpRequest, page: Page, *, first: bool) -> None:
        """Remember where the studies of a page lie, and write the search into the audit.

        Only who was asked for everything, and told all of it, has said what it does not hold: a
        part of a study may not match what its other parts do.
        """
        query = self.form.qido()
        holders = {row.place.uid: tuple(row.copies) for row in page.rows}
        told_all = first and not (query or page.failures or page.cut or page.following)
        everybody = {one.name for one in self.servers} == set(self.names)
        complete = told_all and everybody and all_shown(self.servers)
        locate.remember(holders, complete=complete)
        detail = {} if first else {"further": True}
        record(
            request,
            Action.SEARCH,
            query=query,
            servers=[one.name for one in self.servers],
            found=len(page.rows),
            **detail,
        )


def form_of(typed: searches.Typed, names: list[str]) -> SearchForm:
    """Return the form of a kept search."""
    data = QueryDict(mutable=True)
    for name, given in typed.items():
        data.setlist(name, given)
    return SearchForm(data, servers=names)


def asked_by(request: HttpRequest, search_id: str, form: SearchForm, names: list[str]) -> Asked:
    """Return what a valid form asks on behalf of the person of `request`."""
    chosen = form.cleaned_data["servers"] or names
    return Asked(search_id, form, names, clients(request.user.get_username(), chosen))
