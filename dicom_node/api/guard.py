"""Who may call: tickets of the portal and the archive, and people's API tokens (PS3.18 8.2)."""

from __future__ import annotations

import base64
import functools
import logging
import uuid
from collections.abc import Callable
from typing import Any

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from dicom_node.api.reads import note_read
from dicom_node.config import CONFIG
from pacs_common.authorities import of_roles
from pacs_common.errors import (
    ArgensError,
    BadInput,
    NotAuthenticated,
    NotFound,
    PeerUnreachable,
    Refused,
    problem,
)
from pacs_common.http import HttpClient
from pacs_common.logs import trace_id, trace_of
from pacs_common.tickets import Ticket, TicketVerifier

LOG = logging.getLogger(__name__)
TOKEN_KNOWN_S = 60
RETRY_AFTER_S = "10"
# What an API token may open, if the portal says so; never anything else.
OPEN_TO_PEOPLE = {"dicomweb", "dicomweb.store", "dicomweb.delete"}
SCOPES_OF_ISSUER = {
    "portal": {
        "status",
        "dicomweb",
        "dicomweb.store",
        "dicomweb.delete",
        "rejections.read",
        "rejections.approve",
        "arrivals.read",
        "corrections.read",
        "corrections.write",
        "quarantine.decide",
        "peers.read",
        "peers.write",
        "audit.read",
        "log.read",
        "forwarding.read",
        "forwarding.write",
        "scu",
        "scu.address",
    },
    "archive": {
        "status",
        "custody.read",
        "custody.evict",
        "custody.recall",
        "custody.receipt",
        "custody.hold",
        "custody.availability",
        "custody.restore",
        "scu",
    },
}
_TICKETS = TicketVerifier(CONFIG.name, CONFIG.trust_dir)
View = Callable[..., HttpResponseBase]


def allowed(scope: str, *, study_in_body: bool = False) -> Callable[[View], View]:
    """Let a view answer only callers whose ticket (or API token) grants `scope`.

    The ticket is passed on as `request.ticket`; one that is bound to a study opens no other
    (with `study_in_body` the view itself must hold the ticket against the study it is asked for).
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            ticket = _caller(request)
            of_body = study_in_body and "study_uid" not in kwargs
            ticket.require(scope, ticket.study if of_body else kwargs.get("study_uid"))
            if scope not in SCOPES_OF_ISSUER.get(ticket.issuer, set()):
                raise Refused(f"{ticket.issuer} may not grant {scope}")
            if not ticket.jti and scope not in OPEN_TO_PEOPLE:
                raise Refused(f"an API token does not open {scope}")
            request.ticket = ticket
            if not ticket.jti:  # not asked by the portal, which keeps its own audit
                told = {"subject": ticket.subject, "route": request.resolver_match.route, **kwargs}
                LOG.info("read with a person's token", extra=told)
            if request.method == "GET":
                note_read(request, ticket, scope, kwargs.get("study_uid"))
            return view(request, **kwargs)

        guarded.scope = scope
        return guarded

    return decorate


def traced(request: HttpRequest) -> str:
    """Return the trace id of a request: the caller's, or a new one."""
    return trace_of(request.META.get("HTTP_X_REQUEST_ID"))


class TranslateErrors:
    """Turns errors into problem documents, and gives each request its trace id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request under its trace id."""
        token = trace_id.set(traced(request))
        try:
            return self._get_response(request)
        finally:
            trace_id.reset(token)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Translate what Argens can explain; the rest is Django's 500."""
        return problem_response(error) if isinstance(error, ArgensError) else None


def problem_response(error: ArgensError) -> HttpResponse:
    """Return the RFC 9457 answer of an error."""
    answer = JsonResponse(
        problem(error), status=error.http_status, content_type="application/problem+json"
    )
    if isinstance(error, NotAuthenticated):
        answer["WWW-Authenticate"] = 'Bearer realm="Argens", Basic realm="Argens"'
    if error.retriable:
        answer["Retry-After"] = str(getattr(error, "retry_after_s", RETRY_AFTER_S))
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a request that cannot be read, or is too large."""
    return problem_response(BadInput("the request cannot be read, or is too large"))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for an address that the node does not have."""
    return problem_response(NotFound("there is nothing at this address"))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for a fault of ours: the log has the details, the caller does not need them."""
    return problem_response(ArgensError("the node failed; see its log"))


def _caller(request: HttpRequest) -> Ticket:
    kind, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    token = credentials.strip()
    if kind.lower() == "basic":
        token = _password(token)
    elif kind.lower() != "bearer":
        raise NotAuthenticated("a ticket or an API token is needed")
    if token.count(".") == 2:
        return _TICKETS.verify(token)
    return _person(token)


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:  # no Base64, or no UTF-8 in it
        raise NotAuthenticated("the Basic credentials cannot be read") from None


def _person(token: str) -> Ticket:
    """Return the rights of an API token, as the portal tells them (kept for a minute)."""
    if not CONFIG.portal_url or not token:
        raise NotAuthenticated("a ticket or an API token is needed")
    key = f"token:{uuid.uuid5(uuid.NAMESPACE_OID, token)}"
    known = caches["shared"]  # by all processes: else it were chance who still knows a token
    answer = known.get(key)
    if answer is None:
        answer = _introspected(token)
        try:
            known.set(key, answer, TOKEN_KNOWN_S)
        except OSError as error:  # a full disk: the portal is asked each time
            LOG.warning("a token is not remembered: %s", error.strerror)
    if not answer.get("active"):
        raise NotAuthenticated("this API token is not valid")
    return Ticket(
        issuer="portal",
        audience=CONFIG.name,
        subject=str(answer.get("subject", "")),
        scopes=frozenset(answer.get("scopes", ())),
        study=None,
        plan=None,
        jti="",
        expires_at=0,
    )


def _introspected(token: str) -> dict[str, Any]:
    """Ask the portal what a token is worth; whatever else it answers, it does not tell."""
    client = HttpClient(CONFIG.portal_url, read_s=5, tls=of_roles())
    try:
        answer = client.json("POST", "/api/introspect", body={"token": token, "node": CONFIG.name})
    except ArgensError:
        raise PeerUnreachable("the portal, which knows the tokens, does not answer") from None
    finally:
        client.close()
    if not isinstance(answer, dict):
        raise PeerUnreachable("the portal does not tell what this token is worth")
    return answer
