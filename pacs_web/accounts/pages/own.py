"""The account's first page: who I am, and where I am logged in."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from pacs_web.accounts import two_steps
from pacs_web.accounts.guard import own_account
from pacs_web.accounts.reach import reach_of
from pacs_web.accounts.sessions import end_all


@own_account()
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Show the person's groups, reach, second step, tokens and logins."""
    account = request.user
    context = {
        "groups": account.groups.order_by("name"),
        "reach": reach_of(account.get_username()),
        "second_step": two_steps.enrolled(account),
        "tokens": account.api_tokens.count(),
        "sessions": account.open_sessions.all(),
        "here": request.open_session,
    }
    return render(request, "accounts/own.html", context)


@own_account()
@require_POST
def log_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all other logins of this person."""
    count = end_all(request.user, but=request.open_session)
    said = ngettext("%(n)d other login was ended.", "%(n)d other logins were ended.", count)
    messages.success(request, said % {"n": count})
    return redirect("account")
