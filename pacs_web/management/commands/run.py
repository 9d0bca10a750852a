"""`manage.py web run`: everything the portal needs: its pages, and the keeping of its audit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from pacs_common.branches import Branch
from pacs_common.processes import run
from pacs_common.serving import load, serve
from pacs_web import config, gunicorn
from pacs_web.accounts.demo import ensure_demo_accounts
from pacs_web.nodes.registry import register_archive, register_nodes, ticket_issuer

APPLICATION = "pacs_web.wsgi:application"


class Command(BaseCommand):
    help = "Migrate, register the nodes of PACS_NODES, make the demo people, and serve the pages."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("clearsessions")  # they hold what was searched for
        register_nodes(config.NODES)
        register_archive(config.ARCHIVE_URL)
        ticket_issuer()  # publishes the portal's key before a node or the archive asks for it
        if config.DEMO_ACCOUNTS_FILE:
            ensure_demo_accounts(Path(config.DEMO_ACCOUNTS_FILE).absolute())
        load(APPLICATION)  # imported once, here, for all
        connections.close_all()
        keep = partial(call_command, "audit", "keep")
        title = "argens: manage.py web"
        run([Branch("http", f"{title} http", http), Branch("audit", f"{title} audit keep", keep)])


def http() -> None:
    """Serve the pages until SIGTERM or SIGINT."""
    serve(APPLICATION, **gunicorn.SETTINGS)
