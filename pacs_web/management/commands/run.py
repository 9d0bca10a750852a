"""`manage.py web run`: everything the portal needs: its pages, and the keeping of its audit."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from pacs_common.branches import Branch
from pacs_common.processes import run
from pacs_common.serving import load, serve
from pacs_web import gunicorn

APPLICATION = "pacs_web.wsgi:application"


class Command(BaseCommand):
    help = "Prepare (see `prepare`), serve the pages and keep the audit."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("prepare")
        load(APPLICATION)  # imported once, here, for all
        connections.close_all()
        keep = partial(call_command, "audit", "keep")
        title = "argens: manage.py web"
        run([Branch("http", f"{title} http", http), Branch("audit", f"{title} audit keep", keep)])


def http() -> None:
    """Serve the pages until SIGTERM or SIGINT."""
    serve(APPLICATION, **gunicorn.SETTINGS)
