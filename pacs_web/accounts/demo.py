"""The four demo people, made once with random passwords and tokens."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from django.contrib.auth.models import Group
from django.db import transaction

from pacs_web.accounts import tokens
from pacs_web.accounts.models import Account
from pacs_web.accounts.rights import GROUPS

PEOPLE = ("clinician", "technologist", "it", "archivist")


def ensure_demo_accounts(file: Path) -> bool:
    """Write the people's passwords and tokens to `file` (mode 600), once; say if it was done.

    A second start keeps the file and the accounts; without the file, all four get new
    passwords, because nobody knows the old ones.
    """
    if file.exists():
        return False
    with transaction.atomic():
        people = {name: _make(name) for name in PEOPLE}
        _write(file, json.dumps(people, indent=2) + "\n")
    return True


def _make(name: str) -> dict[str, str]:
    password = secrets.token_urlsafe(12)
    account, _created = Account.objects.get_or_create(username=name)
    account.set_password(password)
    account.save()
    account.groups.set([Group.objects.get(name=name)])
    account.api_tokens.filter(label="demo").delete()
    scopes = [scope for scope, right in tokens.SCOPE_NEEDS.items() if right in GROUPS[name]]
    return {"password": password, "token": tokens.create(account, scopes, label="demo")}


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    own = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(content)
    own.replace(file)
