"""`manage.py node restore SRC`: a backup's index, journal and secrets, then what is newer here."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader

from dicom_node import audit
from dicom_node.config import CONFIG
from dicom_node.index import restored
from dicom_node.management import backed_up
from dicom_node.store.layout import Layout
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
        """Put it back; then let the index say what the disk says."""
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
        report = restored.settle(Layout(CONFIG.data_dir), back.manifest.began)
        connection.close()
        audit.note(
            "backup-restored",
            by="manage.py",
            backup=back.folder.name,
            backed_up_at=back.manifest.begun_at,
            why=self._why,
        )
        self.stdout.write(
            f"{report.added} instances indexed anew, {len(report.missing)} are not on the disk, "
            f"{len(report.unreadable)} not readable"
        )
        if report.missing:
            self.stdout.write("the archive fills them in: manage.py archive restore-node NAME")
