"""What every answer carries: a trace id, and the headers that keep other sites out."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from pacs_common.errors import ArgensError, BadInput, NotFound
from pacs_common.logs import TRACE_HEADER, trace_id, trace_of
from pacs_web.accounts.guard import problem_response
from pacs_web.federation.handing_over import set_cache_apart
from pacs_web.federation.passing import as_ours

GetResponse = Callable[[HttpRequest], HttpResponse]

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "manifest-src 'self'",
    ]
)
INTERFACES = ("/api/", "/dicom-web/")


def trace_requests(get_response: GetResponse) -> GetResponse:
    """Give each request an id that its log lines, and the roles it asks, repeat."""

    def middleware(request: HttpRequest) -> HttpResponse:
        token = trace_id.set(trace_of(request.headers.get(TRACE_HEADER)))
        try:
            response = get_response(request)
            response[TRACE_HEADER] = trace_id.get()
        finally:
            trace_id.reset(token)
        return response

    return middleware


def send_security_headers(get_response: GetResponse) -> GetResponse:
    """Allow our own scripts, styles and pictures, and nothing written into a page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if not request.path.startswith("/static/"):
            response.setdefault("Cache-Control", "no-store")
        set_cache_apart(response)
        return response

    return middleware


def explain_errors(get_response: GetResponse) -> GetResponse:
    """Turn an error that can be explained into its page, or its problem document."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code == 405 and not response.streaming and not response.content:
            return _wrong_method(request, response["Allow"])
        return response

    def process_exception(request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, ArgensError):
            return None
        error = as_ours(error)
        if request.path.startswith(INTERFACES):
            return problem_response(error)
        return render(request, "pages/error.html", {"error": error}, status=error.http_status)

    middleware.process_exception = process_exception  # type: ignore[attr-defined]
    return middleware


def unreadable(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer what Django cannot read (a host, a form, too much of it), without asking for more."""
    if request.path.startswith(INTERFACES):
        return problem_response(BadInput("the request cannot be read, or is too large"))
    return HttpResponse(render_to_string("pages/400.html"), status=400)


def nowhere(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that there is nothing at an address: in a page, to programs in a problem document."""
    if request.path.startswith(INTERFACES):
        return problem_response(NotFound("there is nothing at this address"))
    return render(request, "pages/404.html", status=404)


def _wrong_method(request: HttpRequest, allowed: str) -> HttpResponse:
    """Say what an address is for; Django's own answer is an empty page (RFC 9110 15.5.6)."""
    if request.path.startswith(INTERFACES):
        document = {"type": "about:blank", "title": "Method not allowed", "status": 405}
        document["detail"] = f"this address answers to {allowed}"
        response: HttpResponse = JsonResponse(
            document, status=405, content_type="application/problem+json"
        )
    else:
        response = render(request, "pages/405.html", status=405)
    response["Allow"] = allowed
    return response
