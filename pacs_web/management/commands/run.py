"""`manage.py web run`: everything the portal needs: its pages, and the keeping of its audit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from pacs_common.processes import Program, run
from pacs_web import config
from pacs_web.accounts.demo import ensure_demo_accounts
from pacs_web.nodes.registry import register_archive, register_nodes, ticket_issuer

REPOSITORY = Path(__file__).resolve().parents[3]
THREADS = 32
# Where somebody switches the access log on, it holds no query and no page that led here.
ACCESS_LOG = '%(h)s %(u)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s'


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
        keeping = [sys.executable, str(REPOSITORY / "manage.py"), "web", "audit", "keep"]
        run([Program("http", gunicorn_arguments()), Program("audit", keeping)])


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
        *("--access-logformat", ACCESS_LOG),
    ]
