"""The guards that stand at each view: who is it, and may this person do that?"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.http import url_has_allowed_host_and_scheme

from pacs_common.errors import ArgensError, NotAuthenticated, Refused, problem
from pacs_web.accounts import tokens
from pacs_web.accounts.rights import Right

View = Callable[..., Any]
_STUDY = re.compile(r"studies/(?P<uid>[0-9.]{1,64})(?![^/])")
access_refused = Signal()  # request, right, study_uid: the audit listens
CHALLENGE = 'Bearer realm="Argens", Basic realm="Argens (token as password)"'


def requires(right: Right) -> Callable[[View], View]:
    """Guard a page: a stranger is sent to the login, a person without `right` gets 403."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if not request.user.is_authenticated:
                return to_login(request)
            if not request.user.has_right(right):
                _tell_refused(request, right, kwargs)
                raise PermissionDenied(right)
            return view(request, *args, **kwargs)

        guarded.required_right = right  # type: ignore[attr-defined]
        return guarded

    return guard


def _tell_refused(request: HttpRequest, right: Right, asked: dict[str, Any]) -> None:
    """Tell the audit of a refusal, with the study where the address names one."""
    named = _STUDY.search(str(asked.get("path", "")))
    study_uid = str(asked.get("study_uid") or (named["uid"] if named else ""))
    access_refused.send(Right, request=request, right=right, study_uid=study_uid)


def to_login(request: HttpRequest) -> HttpResponse:
    """Lead a stranger to the login, and from there to the page that stands in the browser.

    HTMX asks for a part of a page: the login must replace the page, never land in the part.
    """
    whole = "HX-Request" not in request.headers
    if whole and request.method in {"GET", "HEAD"}:
        return redirect_to_login(request.get_full_path())
    response = redirect_to_login(_page_of(request))
    if whole:
        return response
    return HttpResponse(status=401, headers={"HX-Redirect": response["Location"]})


def _page_of(request: HttpRequest) -> str:
    """Return the page of ours from which a form or a script asked."""
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "/"
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}):
        return "/"
    parts = urlsplit(page)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def requires_api(right: Right, scope: str) -> Callable[[View], View]:
    """Guard an interface: session or API token; 401 for a stranger, never a redirect."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                _admit(request, right, scope)
            except ArgensError as error:
                if request.user.is_authenticated:
                    _tell_refused(request, right, kwargs)
                return problem_response(error)
            return view(request, *args, **kwargs)

        guarded.required_right = right  # type: ignore[attr-defined]
        return guarded

    return guard


def problem_response(error: ArgensError) -> HttpResponse:
    """Return an error as its problem document (RFC 9457)."""
    response = JsonResponse(
        problem(error), status=error.http_status, content_type="application/problem+json"
    )
    if error.http_status == NotAuthenticated.http_status:
        response["WWW-Authenticate"] = CHALLENGE
    return response


def _admit(request: HttpRequest, right: Right, scope: str) -> None:
    given = tokens.given_in(request)
    if given is not None:
        token = tokens.active(given)
        if token is None:
            raise NotAuthenticated("this token is unknown, expired or revoked")
        if scope not in tokens.granted_scopes(token):
            raise Refused(f"this token does not grant {scope}")
        request.user = token.owner
    if not request.user.is_authenticated:
        raise NotAuthenticated("log in, or send an API token")
    if not request.user.has_right(right):
        raise Refused(f"{request.user.get_username()} lacks the right {right}")
