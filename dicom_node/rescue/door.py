"""Who gets in: nobody without an account, a session behind every page, and each act written down.

Without an account there is nothing at these addresses. Every answer carries the pages' policy:
nothing is run, nothing is loaded from elsewhere, nothing is kept by the browser.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_protect

from dicom_node import audit
from dicom_node.api.answers import POLICY
from dicom_node.config import CONFIG
from dicom_node.index.away import asking_the_index
from dicom_node.sealed import account
from dicom_node.sealed.sessions import Session, Sessions
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, NotFound, Unavailable
from pacs_common.stored_content import is_framed
from pacs_common.tickets import Ticket

LAYOUT = Layout(CONFIG.data_dir)
WHO = "rescue"
COOKIE, PATH = "argens_rescue", "/rescue/"
NOTED_S = 60  # an exam that is looked at is one line a minute, as for every other reader
POLICY_OF_PAGES = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
View = Callable[..., HttpResponseBase]


def sessions() -> Sessions:
    """Return the emergency account's sessions."""
    return Sessions(LAYOUT, CONFIG.rescue_session_s)


def page(*methods: str, is_open: bool = False) -> Callable[[View], View]:
    """Let a view be a page: behind a session (unless `is_open`), in the browser's language.

    What Argens can explain becomes a page that says it in one line.
    """

    def decorate(view: View) -> View:
        checked = csrf_protect(_behind_a_session(view, is_open))

        @functools.wraps(view)
        def opened(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if account.seal(LAYOUT) is None:
                raise NotFound("there is nothing at this address")
            _believe_tls(request)
            language = translation.get_language_from_request(request)
            with translation.override(language):
                if request.method not in methods:
                    answer: HttpResponseBase = HttpResponse(status=405)
                    answer["Allow"] = ", ".join(methods)
                else:
                    answer = _explained(request, checked, kwargs)
            return _finished(answer, language)

        opened.is_open = is_open  # type: ignore[attr-defined]
        return opened

    return decorate


def shown(
    request: HttpRequest, template: str, told: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """Return a page, with what every page says."""
    session = getattr(request, "session", None)
    ends_at = datetime.fromtimestamp(session.ends_at, UTC) if session else None
    frame = {
        "node": CONFIG.name,
        "session": session,
        "ends_at": ends_at.astimezone(zone()) if ends_at else None,
        "language": translation.get_language(),
    }
    return render(request, f"rescue/{template}", frame | (told or {}), status=status)


def zone() -> Any:
    """Return the time zone in which pages tell times."""
    from zoneinfo import ZoneInfo

    return ZoneInfo(CONFIG.time_zone)


def record(request: HttpRequest, kind: str, **details: Any) -> None:
    """Write an act into the audit; raises Unavailable where that cannot be done.

    Elsewhere care goes on without it. This way goes past the portal's rules: not without a trace.
    """
    session: Session | None = getattr(request, "session", None)
    told = {"person": session.person, "reason": session.reason} if session else {}
    who = {"by": WHO, "token": WHO, "issuer": WHO, "address": address_of(request)}
    if not audit.note(kind, **who, **told, **details):
        raise Unavailable("the node cannot write down who reads what: see its disk")


def record_study(request: HttpRequest, study_uid: str, patient: dict[str, Any], what: str) -> None:
    """Write down that an exam is looked at, once a minute for each session."""
    key = f"rescue:{request.COOKIES.get(COOKIE, '')[:12]}:{study_uid}:{what}"
    if cache.get(key) is None:
        record(request, "read", study_uid=study_uid, scope=what, **patient)
        cache.set(key, 1, NOTED_S)


def address_of(request: HttpRequest) -> str:
    """Return where a request came from, as far as the node sees."""
    return str(request.META.get("REMOTE_ADDR", ""))


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose proof of origin is missing or old."""
    return shown(request, "error.html", {"stale": True}, 403)


def _believe_tls(request: HttpRequest) -> None:
    """Take a proxy's word that the browser came by TLS: it makes cookies and forms stricter."""
    if request.headers.get("X-Forwarded-Proto") == "https":
        request.environ["wsgi.url_scheme"] = "https"


def _behind_a_session(view: View, is_open: bool) -> View:
    @functools.wraps(view)
    def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        request.session = sessions().find(request.COOKIES.get(COOKIE, ""))
        if request.session is None and not is_open:
            return HttpResponseRedirect(f"{PATH}login/")
        request.ticket = _ticket()
        return view(request, **kwargs)

    return guarded


def _ticket() -> Ticket:
    """Return what doors below look at: on whose behalf something is asked for."""
    return Ticket(
        issuer=WHO, audience=CONFIG.name, subject=WHO, scopes=frozenset(), study=None, plan=None,
        jti="", expires_at=0,
    )  # fmt: skip


def _explained(request: HttpRequest, view: View, kwargs: dict[str, Any]) -> HttpResponseBase:
    try:
        with asking_the_index():
            return view(request, **kwargs)
    except ArgensError as error:
        return shown(request, "error.html", {"error": error}, error.http_status)


def _finished(answer: HttpResponseBase, language: str) -> HttpResponseBase:
    """Give an answer what all have; a PDF keeps the policy that its reader needs."""
    if not is_framed(answer.get("Content-Type", "")):
        answer[POLICY] = POLICY_OF_PAGES
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "same-origin"
    answer["X-Frame-Options"] = "DENY"
    answer.headers.setdefault("Content-Language", language)
    patch_vary_headers(answer, ("Accept-Language", "Cookie"))
    del answer.headers["ETag"]
    return answer
