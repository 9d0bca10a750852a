"""Setting up the second step: a QR code, a first code to prove it, and the recovery codes."""

from __future__ import annotations

import segno
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from pacs_web.accounts import sessions, two_steps
from pacs_web.accounts.forms import CodeForm
from pacs_web.accounts.guard import own_account
from pacs_web.accounts.models import Account, Duty, OpenSession
from pacs_web.accounts.proof import proves
from pacs_web.accounts.signals import account_changed

OFFERED = "offered_secret"  # in the session, until its first code proves it
UNPROCESSABLE = 422
PAGE = "accounts/two_steps.html"


@own_account(Duty.TWO_STEPS)
@require_http_methods(["GET", "HEAD", "POST"])
def second_step(request: HttpRequest) -> HttpResponse:
    """Offer a secret as a QR code and keep it once a code proves that the telephone has it."""
    if two_steps.enrolled(request.user):
        left = request.user.recovery_codes.filter(used_at=None).count()
        return render(request, PAGE, {"enrolled": True, "left": left, "form": CodeForm()})
    secret = request.session.setdefault(OFFERED, two_steps.new_secret())
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        step = two_steps.step_of(secret, "".join(form.cleaned_data["code"].split()))
        if step is not None:
            return _enrolled(request, secret, step)
        form.add_error("code", _("This code does not match. Is the telephone's clock right?"))
    context = {
        "form": form,
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "picture": picture_of(two_steps.address_of(secret, request.user)),
        "must": bool(request.open_session and request.open_session.duty),
    }
    return render(request, PAGE, context, status=UNPROCESSABLE if form.is_bound else 200)


def picture_of(address: str) -> str:
    """Return a QR code as the address of an SVG picture."""
    return segno.make(address, error="m").svg_data_uri(scale=5, border=2, light="#fff")


def _enrolled(request: HttpRequest, secret: str, step: int) -> HttpResponse:
    codes = two_steps.enrol(request.user, secret, step)
    del request.session[OFFERED]
    OpenSession.objects.filter(pk=request.open_session.pk).update(two_steps=True)
    sessions.duty_done(request)
    _tell(request, "second step set up")
    return render(request, "accounts/recovery_codes.html", {"codes": codes})


@own_account()
@require_POST
def renew(request: HttpRequest) -> HttpResponse:
    """Show new recovery codes to whoever has the authenticator in hand."""
    if not _proven(request):
        return redirect("account-two-steps")
    codes = two_steps.renew_recovery_codes(request.user)
    _tell(request, "recovery codes renewed")
    return render(request, "accounts/recovery_codes.html", {"codes": codes})


@own_account()
@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    """Remove the authenticator, for a new telephone; a code of the old one is needed."""
    if not _proven(request):
        return redirect("account-two-steps")
    two_steps.forget(request.user)
    sessions.duty_done(request)
    _tell(request, "second step removed")
    messages.success(request, _("The second step is removed."))
    return redirect("account-two-steps")


def _proven(request: HttpRequest) -> bool:
    if proves(request, request.user, request.POST.get("code", "")[:40]):
        return True
    messages.error(request, _("This code does not match. Each code works once."))
    return False


def _tell(request: HttpRequest, what: str) -> None:
    account_changed.send(Account, request=request, whose=request.user.get_username(), what=what)
