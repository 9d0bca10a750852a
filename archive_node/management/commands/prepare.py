"""`manage.py archive prepare`: what has to be so before a process of the archive starts."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from archive_node import library, nodes
from pacs_common import errors
from pacs_common.branches import Branch


class Command(BaseCommand):
    help = "Bring the database up to date, open the vaults (make new ones), publish the key."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; running it again changes nothing."""
        call_command("migrate", verbosity=0)
        connections.close_all()
        # in a child: what a vault opens (an S3 store's connections) may not be shared by forks
        if Branch("vaults", "argens: manage.py archive vaults", open_vaults).spawn().wait():
            raise CommandError("the archive was not started")
        try:
            nodes.issuer()
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None


def open_vaults() -> None:
    """Open every vault, and make those that are new; ends with one line where one is not there."""
    for name in library.specs():
        try:
            library.vault(name)
        except (errors.ArgensError, OSError) as error:
            sys.stderr.write(f"vault {name}: {error}\n")
            raise SystemExit(1) from None
