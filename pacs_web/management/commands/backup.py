"""`manage.py web backup [DEST]`: database, journal and secrets of the portal into one folder."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from pacs_common.backup import commands
from pacs_common.errors import ArgensError
from pacs_web import config
from pacs_web.management import backed_up


class Command(BaseCommand):
    help = commands.BACKUP_HELP

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare where to, and how many are kept."""
        commands.add_backup(parser)

    def handle(self, **options: Any) -> None:
        """Make the backup; a failure leaves none that could be taken for a good one."""
        try:
            applied = MigrationRecorder(connection).applied_migrations()
            named = [f"{app}.{name}" for app, name in applied]
            told = commands.backup(backed_up.role(), named, config.BACKUPS, options)
        except (ArgensError, DatabaseError) as error:
            raise CommandError(str(error).strip()) from None
        self.stdout.write(told)
