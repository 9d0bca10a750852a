"""`manage.py archive run`: everything that the archive is, until SIGTERM."""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from archive_node.management.commands import http
from pacs_common import processes, serving
from pacs_common.branches import Branch

# imported once, here, for all: else each process has its own
LOADED = ("archive_node.tasks", "celery.apps.worker", "celery.apps.beat", "celery.bin.celery")


class Command(BaseCommand):
    help = "Run the archive: HTTP, a Celery worker and beat; SIGTERM or Ctrl-C stops all."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, then supervise the three processes."""
        call_command("prepare")
        serving.load(http.APPLICATION)
        logging.captureWarnings(True)  # Celery's own would stand between the log's lines
        for module in LOADED:
            import_module(module)
        processes.run(
            [
                Branch(name, f"argens: manage.py archive {name}", partial(call_command, name))
                for name in ("http", "worker", "beat")
            ]
        )
