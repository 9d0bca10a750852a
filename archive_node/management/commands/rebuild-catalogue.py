"""`manage.py archive rebuild-catalogue`: read back from the volumes what the database has lost."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError

from archive_node import library
from archive_node.models import Copy
from archive_node.steps.rebuild import Account, Rebuilding
from pacs_common import errors


class Command(BaseCommand):
    help = "Read the catalogue back from the volumes of each vault; stop the archive before."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--vault", action="append", help="this one only; may be repeated")
        parser.add_argument(
            "--prove", action="store_true", help="read every copy whole and compare its digests"
        )
        parser.add_argument(
            "--again", action="store_true", help="add what is missing to a catalogue that is there"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild; exit status 1 where anything could not be read."""
        names = options["vault"] or list(library.specs())
        for name in names:
            if name not in library.specs():
                raise CommandError(f"PACS_VAULTS has no vault {name}")
        if not options["again"] and Copy.objects.filter(vault__in=names).exists():
            raise CommandError("the catalogue has copies: --again adds what is missing of them")
        accounts = [self._rebuilt(name, options["prove"]) for name in names]
        problems = [problem for account in accounts for problem in account.problems]
        for problem in problems:
            self.stderr.write(problem)
        if not options["prove"]:
            self.stdout.write("no copy counts as verified before it is read again (--prove)")
        if problems:
            raise CommandError(f"{len(problems)} things could not be read", returncode=1)

    def _rebuilt(self, name: str, prove: bool) -> Account:
        rebuilding = Rebuilding(library.specs()[name], prove=prove, say=self.stdout.write)
        try:
            account = rebuilding.run()
        except IntegrityError:
            raise CommandError(f"{name} is being written: stop the archive first") from None
        except (errors.ArgensError, OSError) as error:
            raise CommandError(f"{name}: {error}") from None
        self.stdout.write(
            f"{name}: {account.volumes} volumes, {account.members} members read, "
            f"{account.added} added, {account.proven} proven"
        )
        return account
