"""`manage.py web create-account NAME --group G`: the password is asked for, never an argument."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from pacs_web.accounts.models import Account
from pacs_web.accounts.rights import GROUPS


class Command(BaseCommand):
    help = "Make an account; its password is asked for, or read from a pipe."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--group", choices=sorted(GROUPS), required=True)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        if Account.objects.filter(username=options["name"]).exists():
            raise CommandError(f"{options['name']} exists already")
        account = Account(username=options["name"])
        password = _password()
        try:
            account.full_clean(exclude=["password"])
            validate_password(password, account)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        account.set_password(password)
        account.save()
        account.groups.add(Group.objects.get(name=options["group"]))
        self.stdout.write(f"{account.username} may log in as {options['group']}")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        raise CommandError("the two passwords differ")
    return password
