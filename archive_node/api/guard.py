"""Who may ask: a ticket for the archive, signed by the portal, with the scope that a view names."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse

from pacs_common import errors
from pacs_common.logs import TRACE_HEADER, trace_id, trace_of
from pacs_common.tickets import Ticket, TicketVerifier

LOG = logging.getLogger(__name__)
AUDIENCE = "archive"
ISSUER = "portal"
View = Callable[..., HttpResponse]


class MethodNotAllowed(errors.BadInput):
    """The address exists, but not with this method."""

    http_status, title = 405, "Method not allowed"


def ticketed(**scopes: str | tuple[str, ...]) -> Callable[[View], View]:
    """Allow the named methods to holders of one of their scopes; the view gets the ticket second.

    Every error that the tree knows becomes a problem document.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            trace = trace_id.set(trace_of(request.headers.get(TRACE_HEADER)))
            try:
                return view(request, _admitted(request, scopes), **kwargs)
            except errors.ArgensError as error:
                return problem(error, allow=scopes)
            finally:
                trace_id.reset(trace)

        return guarded

    return decorate


def problem(error: errors.ArgensError, allow: Any = ()) -> JsonResponse:
    """Return an error as a problem document (RFC 9457)."""
    response = JsonResponse(
        errors.problem(error),
        status=error.http_status,
        content_type="application/problem+json",
    )
    if error.http_status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if error.http_status == 405:
        response["Allow"] = ", ".join(allow)
    if error.retriable:
        response["Retry-After"] = "30"
    return response


def body(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object that was sent; raises BadInput where it is none."""
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError, RequestDataTooBig):
        raise errors.BadInput("the body is not a JSON object") from None
    if not isinstance(found, dict):
        raise errors.BadInput("the body is not a JSON object")
    return found


def _admitted(request: HttpRequest, scopes: dict[str, str | tuple[str, ...]]) -> Ticket:
    ticket = _ticket(request)
    allowed = scopes.get(request.method or "")
    if allowed is None:
        raise MethodNotAllowed(f"{request.method} is not possible here")
    wanted = (allowed,) if isinstance(allowed, str) else allowed
    if not ticket.scopes.intersection(wanted):
        raise errors.Refused(f"this ticket does not grant {' or '.join(wanted)}")
    return ticket


def _ticket(request: HttpRequest) -> Ticket:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise errors.NotAuthenticated("a ticket is needed: Authorization: Bearer TICKET")
    ticket = TicketVerifier(AUDIENCE, settings.ARCHIVE.trust_dir).verify(token.strip())
    if ticket.issuer != ISSUER:
        raise errors.Refused(f"issuer {ticket.issuer!r} may not ask the archive")
    return ticket


def monitored(view: View) -> View:
    """Let anybody read a view, and nobody use another method on it."""

    @functools.wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            return view(request)
        error = MethodNotAllowed(f"{request.method} is not possible here")
        return problem(error, allow=("GET", "HEAD"))

    return guarded


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer what Django itself refuses to read."""
    return problem(errors.BadInput("the request cannot be read"))


def no_such_page(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer an unknown address."""
    return problem(errors.NotFound("no such address"))


def broken(request: HttpRequest) -> JsonResponse:
    """Answer what nobody foresaw; the log has the rest."""
    return problem(errors.ArgensError("the archive could not answer; its log says why"))
