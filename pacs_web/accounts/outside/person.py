"""The account here of a person who was proven elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import transaction

from pacs_common.errors import Refused
from pacs_web import config
from pacs_web.accounts.models import Account


@dataclass(frozen=True)
class Person:
    """What the other side says of a person; `keeper` names it: "openid"."""

    keeper: str
    login: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    groups: frozenset[str] = frozenset()


@transaction.atomic
def account_of(person: Person) -> Account:
    """Return the person's account, made at the first login, its names and groups as told now.

    Only the groups of PACS_OUTSIDE_GROUPS are kept up; others are IT's. Raises Refused for a name
    that is none here, for an account with a password of its own (somebody else may have it: IT
    hands it over by taking the password away), and for one that is closed.
    """
    account = Account.objects.select_for_update().filter(username=_checked(person.login)).first()
    if account is None:
        account = Account(username=person.login)
        account.set_unusable_password()
    elif not account.is_active:
        raise Refused("the account is closed")
    elif account.kept_by != person.keeper and account.has_usable_password():
        raise Refused("an account of this name has a password of its own here")
    account.kept_by = person.keeper
    account.must_change_password = False
    account.first_name, account.last_name = person.first_name[:150], person.last_name[:150]
    account.email = person.email[:254]
    account.save()
    _keep_groups(account, person.groups)
    return account


def _checked(login: str) -> str:
    try:
        UnicodeUsernameValidator()(login)
    except ValidationError:
        raise Refused("the login name is none that can be kept here") from None
    if not 0 < len(login) <= 150:
        raise Refused("the login name is none that can be kept here")
    return login


def _keep_groups(account: Account, told: Iterable[str]) -> None:
    named = {name.casefold() for name in told}
    for here, there in config.OUTSIDE_GROUPS.items():
        group = Group.objects.filter(name=here).first()
        if group is None:
            continue
        if there.casefold() in named:
            account.groups.add(group)
        else:
            account.groups.remove(group)
