"""The door of `/dicom-web/`: one address, a guard and a view for each method."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from pacs_common.errors import ArgensError, BadQuery
from pacs_common.stored_content import is_framed, security_policy
from pacs_web.accounts.guard import problem_response, requires_api
from pacs_web.accounts.rights import Right
from pacs_web.accounts.tokens import DELETE, DICOMWEB, STORE
from pacs_web.dicomweb import capabilities, rejection, retrieval, search, storing
from pacs_web.federation.passing import as_ours

Answer = Callable[[HttpRequest, str], HttpResponseBase]
_SEGMENT = re.compile(r"(?!\.+\Z)[A-Za-z0-9.,_-]+\Z")


def _read(request: HttpRequest, path: str) -> HttpResponseBase:
    if query := search.QUERY.match(path):
        return search.answer(request, path, query["level"], query["study"])
    return retrieval.answer(request, path)


def _admitted(right: Right, scope: str, answer: Answer) -> Callable[..., HttpResponseBase]:
    """Let only those in who hold `right`, or whose token grants `scope`; explain what fails."""

    @requires_api(right, scope)
    def view(request: HttpRequest, path: str) -> HttpResponseBase:
        try:
            if path and not all(_SEGMENT.match(segment) for segment in path.split("/")):
                raise BadQuery("this is no DICOMweb path")
            return answer(request, path)
        except ArgensError as error:
            return problem_response(as_ours(error))

    return view


VIEWS = {
    "GET": _admitted(Right.VIEW, DICOMWEB, _read),
    "HEAD": _admitted(Right.VIEW, DICOMWEB, _read),
    "POST": _admitted(Right.STORE, STORE, storing.answer),
    "DELETE": _admitted(Right.REJECT, DELETE, rejection.answer),
    "OPTIONS": _admitted(Right.VIEW, DICOMWEB, capabilities.answer),
}


@csrf_exempt  # programs bear tokens; what changes something checks the session's own
def dicomweb(request: HttpRequest, path: str = "", **_: Any) -> HttpResponseBase:
    """Search all nodes, retrieve from the one that holds the study, store and reject there."""
    view = VIEWS.get(request.method or "")
    if view is None:
        return HttpResponseNotAllowed(VIEWS)
    response: HttpResponse = view(request, path=path.strip("/"))
    content_type = response.get("Content-Type", "")
    response["Content-Security-Policy"] = security_policy(content_type)
    response["X-Frame-Options"] = "SAMEORIGIN" if is_framed(content_type) else "DENY"
    return response


dicomweb.required_right = Right.VIEW  # type: ignore[attr-defined]
