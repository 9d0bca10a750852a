"""`manage.py web reseal`: encrypt anew, under today's keys, what the database keeps encrypted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from pacs_web.accounts import two_steps
from pacs_web.accounts.models import Authenticator
from pacs_web.nodes import sealing
from pacs_web.nodes.models import Node


class Command(BaseCommand):
    help = "Encrypt passwords of servers and secrets of second steps under today's keys."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; running it again, or beside a running portal, harms nothing."""
        lost = [
            *_anew(Node, ("sealed_secret", "sealed_key"), sealing.resealed),
            *_anew(Authenticator, ("sealed_secret",), two_steps.resealed),
        ]
        for one in lost:
            self.stderr.write(f"{one} was kept under a key that is not here")
        if lost:
            raise CommandError(
                "give that key as PACS_SECRET_KEY_OLD or PACS_REGISTRY_KEY_OLD, or enter it anew"
            )
        self.stdout.write("all is kept under today's keys: the old ones may go")


def _anew(kind: type[Model], fields: tuple[str, ...], resealed: Callable[[str], str]) -> list[str]:
    """Encrypt columns of every row; return which could not be read."""
    lost = []
    for row in kind._default_manager.all():
        for field in fields:
            kept = getattr(row, field)
            if not kept:
                continue
            try:
                new = resealed(kept)
            except InvalidToken:
                lost.append(f"{kind.__name__.lower()} {row}")
                continue
            # what somebody has just entered instead is under today's key already
            kind._default_manager.filter(pk=row.pk, **{field: kept}).update(**{field: new})
    return lost
