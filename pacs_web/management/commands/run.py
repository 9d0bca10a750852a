"""`manage.py web run`: everything the portal needs, in one process that becomes gunicorn."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from pacs_web import config
from pacs_web.accounts.demo import ensure_demo_accounts
from pacs_web.nodes.registry import register_nodes, ticket_issuer

REPOSITORY = Path(__file__).resolve().parents[3]
THREADS = 32


class Command(BaseCommand):
    help = "Migrate, register the nodes of PACS_NODES, make the demo people, and serve the pages."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("clearsessions")  # they hold what was searched for
        register_nodes(config.NODES)
        ticket_issuer()  # publishes the portal's key before a node or the archive asks for it
        if config.DEMO_ACCOUNTS_FILE:
            ensure_demo_accounts(Path(config.DEMO_ACCOUNTS_FILE).absolute())
        os.execv(sys.executable, gunicorn_arguments())  # noqa: S606 - argv is ours


def gunicorn_arguments() -> list[str]:
    """Return the command line that serves the pages."""
    return [
        sys.executable,
        *("-m", "gunicorn", "pacs_web.wsgi:application"),
        *("--bind", f"{config.HTTP_BIND}:{config.HTTP_PORT}"),
        *("--worker-class", "gthread"),
        *("--workers", str(config.HTTP_WORKERS), "--threads", str(THREADS)),
        *("--pythonpath", str(REPOSITORY)),
        *("--timeout", "60", "--graceful-timeout", "5", "--keep-alive", "20"),
        *("--log-level", "warning", "--no-control-socket"),
    ]
