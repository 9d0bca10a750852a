"""`manage.py archive run`: everything that the archive is, until SIGTERM."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from archive_node import gunicorn, library, nodes
from archive_node.celery import app
from pacs_common import errors, processes, serving
from pacs_common.branches import Branch

TITLE = "argens: manage.py archive"
APPLICATION = "archive_node.wsgi:application"
# imported once, here, for all: else each process has its own
LOADED = ("archive_node.tasks", "celery.apps.worker", "celery.apps.beat", "celery.bin.celery")


class Command(BaseCommand):
    help = "Run the archive: HTTP, a Celery worker and beat; SIGTERM or Ctrl-C stops all."

    def handle(self, *args: Any, **options: Any) -> None:
        """Bring the database up to date, open the vaults, publish the key, run the processes."""
        call_command("migrate", verbosity=0)
        connections.close_all()
        # in a child: what a vault opens (an S3 store's connections) may not be shared by forks
        if Branch("vaults", f"{TITLE} vaults", open_vaults).spawn().wait():
            raise CommandError("the archive was not started")
        try:
            nodes.issuer()
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        serving.load(APPLICATION)
        logging.captureWarnings(True)  # Celery's own would stand between the log's lines
        for module in LOADED:
            import_module(module)
        processes.run(branches())


def branches() -> list[Branch]:
    """Return the archive's processes, in the order of their start."""
    works = {"http": http, "worker": worker, "beat": beat}
    return [Branch(name, f"{TITLE} {name}", work) for name, work in works.items()]


def open_vaults() -> None:
    """Open every vault, and make those that are new; ends with one line where one is not there."""
    for name in library.specs():
        try:
            library.vault(name)
        except (errors.ArgensError, OSError) as error:
            sys.stderr.write(f"vault {name}: {error}\n")
            raise SystemExit(1) from None


def http() -> None:
    """Serve the archive's interface until SIGTERM."""
    serving.serve(APPLICATION, **gunicorn.SETTINGS)


def worker() -> None:
    """Run jobs, and what beat asks for, until SIGTERM."""
    places = settings.ARCHIVE.jobs_at_once + 1  # the one beside them is for the ticks
    app.start(
        ["--quiet", "worker", f"--concurrency={places}", "--pool=prefork", "--without-gossip",
         "--without-mingle", "--without-heartbeat", _log_level()]
    )  # fmt: skip


def beat() -> None:
    """Tick until SIGTERM."""
    schedule = settings.ARCHIVE.data_dir / "beat-schedule"
    app.start(["--quiet", "beat", f"--schedule={schedule}", "--pidfile=", _log_level()])


def _log_level() -> str:
    return f"--loglevel={settings.ARCHIVE.log_level}"
