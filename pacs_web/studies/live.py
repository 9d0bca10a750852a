"""The answers to a search as they arrive: server-sent events, from the first to the deadline."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.federation.listing import Page
from pacs_web.nodes.registry import enabled_nodes
from pacs_web.studies import searches
from pacs_web.studies.asked import PAGE_SIZE, Asked, asked_by, form_of
from pacs_web.studies.shown import chips, shown

MOST_STREAMS = 12  # of a process; each takes one of its 32 threads until the deadline
_FREE = threading.BoundedSemaphore(MOST_STREAMS)
BUSY = 503


@requires(Right.SEARCH)
@require_GET
def live(request: HttpRequest) -> HttpResponseBase:
    """Stream the first page of a kept search; 503 where too many are streamed: ask for the page."""
    search_id = request.GET.get("search", "")
    names = [node.name for node in enabled_nodes()]
    typed = searches.kept(request.session, search_id)
    form = form_of(typed or {}, names)
    if typed is None or not form.is_valid():
        return redirect("search")  # which says why; the script goes there
    asked = asked_by(request, search_id, form, names)
    if not _FREE.acquire(blocking=False):
        return HttpResponse(status=BUSY, headers={"Retry-After": "5"})
    return StreamingHttpResponse(
        _Stream(_events(request, asked)),
        content_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


class _Stream(Iterator[str]):
    """Events whose place among the streams is free again when they end, or nobody listens."""

    def __init__(self, events: Iterator[str]) -> None:
        self._events = events
        self._open = True

    def __next__(self) -> str:
        return next(self._events)

    def close(self) -> None:
        """End the events; Django calls it when all is sent or the browser has gone."""
        if self._open:
            self._open = False
            _FREE.release()
            self._events.close()  # type: ignore[attr-defined]


def _events(request: HttpRequest, asked: Asked) -> Iterator[str]:
    """Yield what is known each time that a server is heard, and in the end what a page shows."""
    names = [one.name for one in asked.servers]
    known = Page([])
    try:
        for known, is_end in asked.listing().first_page():
            yield _event("servers", request, "asked.html", chips=chips(names, known, PAGE_SIZE))
            if known.rows and not is_end:
                yield _event("results", request, "results.html", result=_so_far(known, asked))
    finally:
        asked.note(request, known, first=True)
    yield _event("done", request, "results.html", result=shown(known, asked.search_id))


def _so_far(known: Page, asked: Asked) -> object:
    """Return what is known without what the end alone can say: failures, and where it goes on."""
    return shown(Page(known.rows), asked.search_id)


def _event(name: str, request: HttpRequest, template: str, **context: object) -> str:
    written = render_to_string(f"studies/{template}", context, request)
    lines = "".join(f"data: {line}\n" for line in written.splitlines() if line.strip())
    return f"event: {name}\n{lines}\n"
