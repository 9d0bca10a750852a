"""`manage.py archive restore SRC`: the catalogue and the keys of a backup."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from archive_node import trail
from archive_node.config import CONFIG
from archive_node.management import backed_up
from pacs_common.backup import commands
from pacs_common.backup.commands import Door
from pacs_common.backup.restoring import Restored
from pacs_common.errors import ArgensError


class Command(BaseCommand):
    help = commands.RESTORE_HELP

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare which backup."""
        commands.add_restore(parser)

    def handle(self, **options: Any) -> None:
        """Put it back, and say how the catalogue learns what was written since."""
        self._why = options["replace"].strip()
        disk = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
        known = [f"{app}.{name}" for app, name in disk]
        connections.close_all()
        try:
            told = commands.restore(
                backed_up.role(),
                Door(CONFIG.http_bind, CONFIG.http_port),
                known,
                options,
                self._settle,
            )
        except ArgensError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(told)

    def _settle(self, back: Restored) -> None:
        connections.close_all()
        call_command("migrate", verbosity=0, interactive=False)
        trail.note(
            "backup-restored",
            "manage.py",
            backup=back.folder.name,
            backed_up_at=back.manifest.begun_at,
            why=self._why,
        )
        since = back.manifest.begun_at
        self.stdout.write(
            f"what was copied after {since} is on the volumes, not in this catalogue: "
            "manage.py archive rebuild-catalogue reads it from there"
        )
