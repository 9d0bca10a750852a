"""A person's API tokens: made, shown once, listed with their last use, revoked."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from pacs_web.accounts import tokens
from pacs_web.accounts.forms import SCOPE_WORDS, NewTokenForm
from pacs_web.accounts.guard import own_account
from pacs_web.accounts.models import ApiToken
from pacs_web.accounts.signals import account_changed

UNPROCESSABLE = 422


@own_account()
@require_http_methods(["GET", "HEAD", "POST"])
def tokens_page(request: HttpRequest) -> HttpResponse:
    """List the tokens; POST makes one, which this answer alone shows."""
    scopes = [one for one, right in tokens.SCOPE_NEEDS.items() if request.user.has_right(right)]
    form = NewTokenForm(request.POST if request.method == "POST" else None, scopes=scopes)
    secret = _made(request, form) if form.is_valid() else ""
    rows = [
        (one, [SCOPE_WORDS[scope] for scope in one.scopes if scope in SCOPE_WORDS])
        for one in request.user.api_tokens.order_by("-created_at")
    ]
    context = {
        "form": NewTokenForm(scopes=scopes) if secret else form,
        "may_make": bool(scopes),
        "secret": secret,
        "rows": rows,
        "now": timezone.now(),
    }
    status = UNPROCESSABLE if form.is_bound and not secret else 200
    return render(request, "accounts/tokens.html", context, status=status)


@own_account()
@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """Remove one of the person's own tokens: whoever bears it is refused from now on."""
    token = get_object_or_404(ApiToken, pk=token_id, owner=request.user)
    token.delete()
    _tell(request, f"token revoked: {token.label}")
    messages.success(request, _("The token is revoked. Servers may take it for a minute more."))
    return redirect("account-tokens")


def _made(request: HttpRequest, form: NewTokenForm) -> str:
    said = form.cleaned_data
    until = timezone.now() + timedelta(days=said["days"])
    secret = tokens.create(request.user, said["scopes"], label=said["label"], expires_at=until)
    _tell(request, f"token made: {said['label']} ({', '.join(said['scopes'])})")
    return secret


def _tell(request: HttpRequest, what: str) -> None:
    whose = request.user.get_username()
    account_changed.send(ApiToken, request=request, whose=whose, what=what)
