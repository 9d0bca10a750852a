"""`manage.py web restore SRC`: accounts, audit, registry and keys of a backup; the chain walked."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from pacs_common.backup import commands
from pacs_common.backup.commands import Door
from pacs_common.backup.restoring import Restored
from pacs_common.errors import ArgensError, Conflict
from pacs_web import config
from pacs_web.audit.anchors import anchors, set_aside_after
from pacs_web.audit.models import Action, AuditEvent
from pacs_web.audit.record import write
from pacs_web.audit.verifying import verify
from pacs_web.management import backed_up


class Command(BaseCommand):
    help = commands.RESTORE_HELP

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare which backup."""
        commands.add_restore(parser)

    def handle(self, **options: Any) -> None:
        """Put it back; then walk the audit's chain."""
        self._why = options["replace"].strip()
        disk = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
        known = [f"{app}.{name}" for app, name in disk]
        connections.close_all()
        try:
            told = commands.restore(
                backed_up.role(),
                Door(config.HTTP_BIND, config.HTTP_PORT),
                known,
                options,
                self._settle,
            )
        except (ArgensError, ValueError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(told)

    def _settle(self, back: Restored) -> None:
        connections.close_all()
        call_command("migrate", verbosity=0, interactive=False)
        rows = AuditEvent.objects.order_by("-id").values_list("id", flat=True)
        last = rows.first() or 0
        lost = set_aside_after(last)
        verdict = verify(anchors())
        if verdict.broken is not None:
            raise Conflict(f"the backup is back, but its audit is broken: {verdict.broken.why}")
        detail = {"backup": back.folder.name, "backed_up_at": back.manifest.begun_at}
        if lost:
            detail["lost_rows"] = f"{last + 1} to {lost[-1].row} at least"
        write("manage.py", Action.RESTORED, None, why=self._why, **detail)
        self.stdout.write(f"the audit's {verdict.rows} rows are as they were written")
        if lost:
            self.stdout.write(
                f"rows {last + 1} to {lost[-1].row} at least are lost: they were written after "
                "the backup, as anchors tell that are set aside"
            )
