"""Opening the envelope: a passphrase, a name and a reason; and leaving again."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _

from dicom_node.config import CONFIG
from dicom_node.rescue.door import COOKIE, LAYOUT, PATH, address_of, page, record, sessions, shown
from dicom_node.sealed import account
from dicom_node.sealed.lockout import Lockout

LOG = logging.getLogger(__name__)
LEAST_CHARS, MOST_CHARS = 3, 300


@page("GET", "POST", is_open=True)
def login(request: HttpRequest) -> HttpResponseBase:
    """Ask for the passphrase and a reason; break the seal, and begin a session."""
    if request.method == "GET":
        return _form(request)
    lockout = Lockout(LAYOUT, CONFIG.rescue_failures, CONFIG.rescue_lockout_s)
    address = address_of(request)
    left_s = lockout.left_s(address)
    if left_s:
        minutes = -(-left_s // 60)
        why = _("Too many wrong passphrases from here: wait %(n)s min.") % {"n": minutes}
        return _form(request, why, status=429)
    told = {name: _line(request.POST.get(name, "")) for name in ("person", "reason")}
    if any(len(text) < LEAST_CHARS for text in told.values()):
        return _form(request, _("Say who you are and why: both are recorded."), status=400)
    if not account.is_right(LAYOUT, request.POST.get("passphrase", "")):
        lockout.fail(address)
        record(request, "rescue-refused", why="wrong passphrase", **told)
        return _form(request, _("This is not the passphrase."), status=403)
    lockout.forget(address)
    return _opened(request, told["person"], told["reason"])


@page("POST")
def logout(request: HttpRequest) -> HttpResponseBase:
    """End the session."""
    sessions().end(request.COOKIES.get(COOKIE, ""))
    record(request, "rescue-left")
    answer = HttpResponseRedirect(f"{PATH}login/")
    answer.delete_cookie(COOKIE, path=PATH, samesite="Strict")
    return answer


def _opened(request: HttpRequest, person: str, reason: str) -> HttpResponse:
    """Write it down, break the seal, and only then let in."""
    record(request, "rescue-opened", person=person, reason=reason)
    seal = account.break_seal(LAYOUT)
    LOG.error("emergency access to this node began", extra={"seal_made_at": seal.made_at})
    key = sessions().begin(person, reason, address_of(request))
    answer = HttpResponseRedirect(PATH)
    answer.set_cookie(
        COOKIE,
        key,
        max_age=CONFIG.rescue_session_s,
        path=PATH,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure(),
    )
    return answer


def _form(request: HttpRequest, why: str = "", status: int = 200) -> HttpResponse:
    kept = {name: request.POST.get(name, "")[:MOST_CHARS] for name in ("person", "reason")}
    seal = account.seal(LAYOUT)
    return shown(request, "login.html", {"why": why, "seal": seal, **kept}, status)


def _line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:MOST_CHARS]
