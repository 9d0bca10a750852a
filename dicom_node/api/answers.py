"""What every answer of the node has in common: a reason, no body to HEAD, nothing that runs."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponseBase, JsonResponse

from pacs_common.stored_content import security_policy

POLICY = "Content-Security-Policy"
PROBLEM = "application/problem+json"
_DJANGOS_OWN = "text/html"  # what a view of ours refuses says why: readiness, what was not stored
View = Callable[[HttpRequest], HttpResponseBase]
_DETAILS = {
    HTTPStatus.METHOD_NOT_ALLOWED: "this resource does not know the method; Allow names its own"
}


class FinishAnswers:
    """Middleware: a problem document where a refusal has none (RFC 9457), no body to HEAD.

    A stored document may be a stranger's page: a browser that opens it runs and loads nothing.
    """

    def __init__(self, get_response: View) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        answer = self._get_response(request)
        if answer.status_code >= 400 and _is_djangos_own(answer):
            answer = _explained(answer)
        if request.META.get("REQUEST_METHOD") == "HEAD":
            _empty(answer)
        harmless(answer)
        return answer


def harmless(answer: HttpResponseBase) -> None:
    """Tell browsers to run and load nothing of an answer; a page of ours has its own policy."""
    if POLICY not in answer:
        answer[POLICY] = security_policy(answer.get("Content-Type", ""))
    answer["X-Content-Type-Options"] = "nosniff"


def _is_djangos_own(answer: HttpResponseBase) -> bool:
    return answer.get("Content-Type", "").startswith(_DJANGOS_OWN) and POLICY not in answer


def _explained(answer: HttpResponseBase) -> JsonResponse:
    """Return a refusal of Django's with a problem document and its headers."""
    status = HTTPStatus(answer.status_code)
    document = {
        "type": "about:blank",
        "title": status.phrase.capitalize(),
        "status": status.value,
        "detail": _DETAILS.get(status, status.description or status.phrase),
    }
    explained = JsonResponse(document, status=status, content_type=PROBLEM)
    for name, value in answer.items():
        if name.lower() not in ("content-type", "content-length"):
            explained[name] = value
    answer.close()
    return explained


def _empty(answer: HttpResponseBase) -> None:
    """Take the body out of an answer; its length stays told where it is known."""
    if answer.streaming:
        answer.streaming_content = ()
    else:
        answer.setdefault("Content-Length", str(len(answer.content)))
        answer.content = b""
