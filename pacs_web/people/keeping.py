"""What IT does with accounts; each act ends what it must, and is told to the audit."""

from __future__ import annotations

import secrets
from typing import Any

from axes.utils import reset
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from pacs_web.accounts import sessions, two_steps
from pacs_web.accounts.models import Account, GroupRule
from pacs_web.accounts.signals import account_changed
from pacs_web.people.forms import PASSWORD
from pacs_web.people.limits import replace, words


def tell(request: HttpRequest, whose: str, what: str) -> None:
    """Tell the audit what was done with whose account; never a secret."""
    account_changed.send(Account, request=request, whose=whose, what=what)


def link_for(request: HttpRequest, account: Account) -> str:
    """Return an address at which the person chooses a password, once, within PACS_LINK_S."""
    key = urlsafe_base64_encode(force_bytes(account.pk))
    token = default_token_generator.make_token(account)
    return request.build_absolute_uri(reverse("welcome", args=[key, token]))


@transaction.atomic
def make_person(
    request: HttpRequest, said: dict[str, Any], limits: list[Any]
) -> tuple[Account, str]:
    """Make an account and return it with what the person needs for the first login."""
    account = Account(username=said["username"])
    by_password = said["first_login"] == PASSWORD
    password = secrets.token_urlsafe(12) if by_password else None
    account.set_password(password)  # None: no password opens it
    account.must_change_password = by_password
    account.save()
    change_person(request, account, said, limits, made=True)
    return account, password or link_for(request, account)


@transaction.atomic
def change_person(
    request: HttpRequest,
    account: Account,
    said: dict[str, Any],
    limits: list[Any],
    *,
    made: bool = False,
) -> None:
    """Keep what the form says of a person."""
    for name in ("first_name", "last_name", "email", "needs_two_steps"):
        setattr(account, name, said[name])
    account.save()
    account.groups.set(said["groups"])
    replace(account, limits)
    names = ", ".join(group.name for group in said["groups"]) or "none"
    what = f"{'made' if made else 'changed'}: groups {names}; limits {words(limits)}"
    second = "; second step required" if said["needs_two_steps"] else ""
    tell(request, account.get_username(), what + second)


@transaction.atomic
def change_group(
    request: HttpRequest, group: Group, said: dict[str, Any], limits: list[Any]
) -> None:
    """Keep what the form says of a group."""
    group.name = said["name"]
    group.save()
    held = Permission.objects.filter(content_type__app_label="accounts")
    group.permissions.set(held.filter(codename__in=said["rights"]))
    rule = {"needs_two_steps": said["needs_two_steps"]}
    GroupRule.objects.update_or_create(group=group, defaults=rule)
    replace(group, limits)
    rights = ", ".join(said["rights"]) or "none"
    tell(request, f"group {group.name}", f"rights {rights}; limits {words(limits)}")


def disable(account: Account) -> None:
    """Close an account: its logins end now, its tokens are refused."""
    Account.objects.filter(pk=account.pk).update(is_active=False)
    sessions.end_all(account)


def enable(account: Account) -> None:
    """Open a closed account again."""
    Account.objects.filter(pk=account.pk).update(is_active=True)


def unlock(account: Account) -> None:
    """Forget the failed logins of a person."""
    reset(username=account.get_username())


def forget_second_step(account: Account) -> None:
    """Remove the second step of somebody who lost the telephone; its logins end."""
    two_steps.forget(account)
    sessions.end_all(account)


def end_sessions(account: Account) -> None:
    """End every login of a person."""
    sessions.end_all(account)


ACTS = {
    "disable": disable,
    "enable": enable,
    "unlock": unlock,
    "forget-second-step": forget_second_step,
    "end-sessions": end_sessions,
}
