"""The guards that stand at each view: who is it, and may this person do that with this exam?"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme

from pacs_common.errors import ArgensError, NotAuthenticated, Refused, problem
from pacs_web.accounts import exams, tokens
from pacs_web.accounts.models import Duty
from pacs_web.accounts.policy import Decision
from pacs_web.accounts.reach import remembered
from pacs_web.accounts.rights import Right
from pacs_web.accounts.signals import access_refused

View = Callable[..., Any]
DUTY_PAGES = {Duty.PASSWORD: "account-password", Duty.TWO_STEPS: "account-two-steps"}
CHALLENGE = 'Bearer realm="Argens", Basic realm="Argens (token as password)"'


def requires(right: Right, *, exam: bool = True) -> Callable[[View], View]:
    """Guard a page: a stranger is sent to the login, a person without `right` gets 403.

    So does a person whose rights do not reach the exams that are named; who may break the glass
    is asked for a reason. `exam=False` is for a page that shows nothing of the exam it names.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if not request.user.is_authenticated:
                return to_login(request)
            if _duty(request):
                return redirect(DUTY_PAGES[_duty(request)])
            named = exams.named_in(request, kwargs)
            if not request.user.has_right(right):
                _tell_refused(request, right, named)
                raise PermissionDenied(right)
            with remembered(request.user.get_username()) as reach:
                closed = exams.first_closed(request, right, named) if exam else None
                if closed is None:
                    request.glass_broken_for = reach.granted.intersection(named)
                    return view(request, *args, **kwargs)
            _tell_refused(request, right, [closed[0]])
            if closed[1] is Decision.DENIED:
                raise PermissionDenied(right)
            return _glass_page(request, closed[0])

        guarded.required_right = right  # type: ignore[attr-defined]
        return guarded

    return guard


def own_account(duty: Duty = Duty.NONE) -> Callable[[View], View]:
    """Guard a page of a person's own account: every person has one, no stranger.

    It is open, too, to whoever must do `duty` before anything else.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if not request.user.is_authenticated:
                return to_login(request)
            if _duty(request) not in {Duty.NONE, duty}:
                return redirect(DUTY_PAGES[_duty(request)])
            return view(request, *args, **kwargs)

        guarded.own_account = True  # type: ignore[attr-defined]
        return guarded

    return guard


def _duty(request: HttpRequest) -> Duty:
    kept = getattr(request, "open_session", None)
    return Duty(kept.duty) if kept is not None else Duty.NONE


def _glass_page(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Say that the exam is another department's, and ask for the reason to open it all the same."""
    page = request.get_full_path() if request.method == "GET" else "/"
    context = {"study_uid": study_uid, "next": page}
    return render(request, "accounts/glass.html", context, status=403)


def _tell_refused(request: HttpRequest, right: Right, studies: list[str]) -> None:
    """Tell the audit of a refusal, with the study where the address names one."""
    study_uid = studies[0] if studies else ""
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
            named = exams.named_in(request, kwargs)
            try:
                _admit(request, right, scope)
                with remembered(request.user.get_username()):
                    _require_reach(request, right, named)
                    return view(request, *args, **kwargs)
            except ArgensError as error:
                if request.user.is_authenticated and isinstance(error, Refused):
                    _tell_refused(request, right, named)
                return problem_response(error)

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
    if given is None and _duty(request):
        raise Refused("open the portal first: there is something to do for your account")
    if not request.user.has_right(right):
        raise Refused(f"{request.user.get_username()} lacks the right {right}")


def _require_reach(request: HttpRequest, right: Right, studies: list[str]) -> None:
    closed = exams.first_closed(request, right, studies)
    if closed is None:
        return
    said = f"the exam {closed[0]} is not of a server and department of {request.user}"
    glass = "; in an emergency, give a reason on its page in the portal"
    raise Refused(said + (glass if closed[1] is Decision.GLASS else ""))
