"""How long a login lasts: an end after idling and one in all, a sooner one outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, logout
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from pacs_web import config
from pacs_web.accounts.addresses import is_inside
from pacs_web.accounts.models import Account, Duty, OpenSession
from pacs_web.accounts.tokens import digest_of
from pacs_web.accounts.two_steps import enrolled, needed_by

GetResponse = Callable[[HttpRequest], HttpResponse]
NOTED_EVERY = timedelta(seconds=30)
NO_ACT = {"/session/", "/viewer/alive"}  # scripts ask these by themselves


def end_sessions(get_response: GetResponse) -> GetResponse:
    """Log out whose time is over, and note that the others are at work."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.open_session = None
        _sign_anew(request)
        if request.user.is_authenticated:
            kept = OpenSession.objects.filter(digest=_digest(request)).first()
            if kept is None or _is_over(request, kept):
                logout(request)
                if kept is not None:
                    kept.delete()
            else:
                request.open_session = kept
                _note(request, kept)
        return get_response(request)

    return middleware


def begin(sender: Any, request: HttpRequest, user: Account, **kwargs: Any) -> None:
    """Keep the row of a login that just succeeded, and forget the person's old ones."""
    if request.session.session_key is None:
        request.session.create()
    past = timezone.now() - timedelta(seconds=config.SESSION_S)
    OpenSession.objects.filter(account=user, started_at__lt=past).delete()
    OpenSession.objects.update_or_create(
        digest=_digest(request),
        defaults={
            "account": user,
            "started_at": timezone.now(),
            "seen_at": timezone.now(),
            "address": request.META.get("REMOTE_ADDR") or None,
            "agent": request.META.get("HTTP_USER_AGENT", "")[:200],
            "two_steps": getattr(request, "two_steps_passed", False),
            "duty": first_duty(user),
        },
    )


def first_duty(account: Account) -> Duty:
    """Return what the person must do before anything else."""
    if account.must_change_password:
        return Duty.PASSWORD
    if needed_by(account) and not enrolled(account):
        return Duty.TWO_STEPS
    return Duty.NONE


def duty_done(request: HttpRequest) -> None:
    """Look again at what the person of a session must do first."""
    account = Account.objects.get(pk=request.user.pk)
    OpenSession.objects.filter(pk=request.open_session.pk).update(duty=first_duty(account))


def moved(request: HttpRequest) -> None:
    """Follow a session whose key was changed (a new password does that)."""
    OpenSession.objects.filter(pk=request.open_session.pk).update(digest=_digest(request))


def end_all(account: Account, *, but: OpenSession | None = None) -> int:
    """End every login of a person, except one; return how many there were."""
    rows = account.open_sessions.exclude(pk=but.pk if but else None)
    return rows.delete()[0]


def ends_at(request: HttpRequest) -> tuple[datetime, bool]:
    """Return when a session ends if nothing more is done, and whether an act puts that off."""
    kept = request.open_session
    outside = not is_inside(request)
    whole = min(config.SESSION_S, config.OUTSIDE_SESSION_S) if outside else config.SESSION_S
    last = kept.started_at + timedelta(seconds=whole)
    idle = kept.seen_at + timedelta(seconds=config.SESSION_IDLE_S)
    return min(last, idle), idle < last


def _sign_anew(request: HttpRequest) -> None:
    """Let a login outlive the secret that signed it (PACS_SECRET_KEY_OLD).

    Django does so too, under another session id: of the requests that a page sends at once all
    but the first would come with an id that is no more, and log the person out.
    """
    signed = request.session.get(HASH_SESSION_KEY) if settings.SECRET_KEY_FALLBACKS else None
    account = Account.objects.filter(pk=request.session[SESSION_KEY]).first() if signed else None
    if account is None or constant_time_compare(signed, account.get_session_auth_hash()):
        return
    if any(constant_time_compare(signed, one) for one in account.get_session_auth_fallback_hash()):
        request.session[HASH_SESSION_KEY] = account.get_session_auth_hash()


def _is_over(request: HttpRequest, kept: OpenSession) -> bool:
    request.open_session = kept
    carried_out = not is_inside(request) and not kept.two_steps
    return (
        carried_out or kept.account_id != request.user.pk or ends_at(request)[0] <= timezone.now()
    )


def _note(request: HttpRequest, kept: OpenSession) -> None:
    """Note an act; what a page asks for by itself while nobody is there is none."""
    polled = request.method == "GET" and "HX-Request" in request.headers
    if polled or (request.method == "GET" and request.path in NO_ACT):
        return
    now = timezone.now()
    if now - kept.seen_at > NOTED_EVERY:
        OpenSession.objects.filter(pk=kept.pk).update(seen_at=now)
        kept.seen_at = now


def _digest(request: HttpRequest) -> str:
    return digest_of(request.session.session_key or "")
