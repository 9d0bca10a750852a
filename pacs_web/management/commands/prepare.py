"""`manage.py web prepare`: what has to be so before the portal's pages are served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from pacs_web import config
from pacs_web.accounts.demo import ensure_demo_accounts
from pacs_web.nodes.registry import register_archive, register_nodes, ticket_issuer


class Command(BaseCommand):
    help = "Migrate, register the servers of PACS_NODES, publish the key, make the demo people."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; running it again changes nothing."""
        call_command("migrate", interactive=False, verbosity=0)
        call_command("clearsessions")  # they hold what was searched for
        register_nodes(config.NODES)
        register_archive(config.ARCHIVE_URL)
        ticket_issuer()  # publishes the portal's key before a node or the archive asks for it
        if config.DEMO_ACCOUNTS_FILE:
            ensure_demo_accounts(Path(config.DEMO_ACCOUNTS_FILE).absolute())
