"""A new password for oneself; all other logins end with it."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pacs_web.accounts import sessions
from pacs_web.accounts.guard import own_account
from pacs_web.accounts.models import Duty
from pacs_web.accounts.signals import account_changed

UNPROCESSABLE = 422


@own_account(Duty.PASSWORD)
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest) -> HttpResponse:
    """Take the old password and a new one."""
    form = PasswordChangeForm(request.user, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        status = UNPROCESSABLE if form.is_bound else 200
        return render(request, "accounts/password.html", {"form": form}, status=status)
    account = form.save(commit=False)
    account.must_change_password = False
    account.save()
    update_session_auth_hash(request, account)
    sessions.moved(request)
    sessions.end_all(account, but=request.open_session)
    sessions.duty_done(request)
    told = {"request": request, "whose": account.get_username(), "what": "password changed"}
    account_changed.send(type(account), **told)
    messages.success(request, _("The new password is in force. Other logins were ended."))
    return redirect("account")
