"""A typed code as proof of a person: what does not match counts as a failed login."""

from __future__ import annotations

from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest

from pacs_web.accounts import two_steps
from pacs_web.accounts.models import Account


def is_locked(request: HttpRequest, account: Account) -> bool:
    """Return whether too many wrong codes or passwords were given for this person."""
    return not AxesProxyHandler.is_allowed(request, {"username": account.get_username()})


def proves(request: HttpRequest, account: Account, typed: str) -> bool:
    """Use up a code; False where it is wrong, was used, or the person is locked out."""
    if is_locked(request, account):
        return False
    if two_steps.passes(account, typed):
        return True
    credentials = {"username": account.get_username()}
    user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    return False
