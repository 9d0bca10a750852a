"""`manage.py archive worker`: the Celery worker, alone (`prepare` comes before it)."""

from __future__ import annotations

from typing import Any

from celery.signals import task_postrun
from django.conf import settings
from django.core.management.base import BaseCommand

from archive_node.celery import app
from archive_node.management import alive

NAME = "worker"


def _has_worked(**told: object) -> None:
    """Tell of a task that ran, well or not: the broker brought it and a place was free."""
    alive.sign(NAME)


class Command(BaseCommand):
    help = "Run the archive's jobs, and what beat asks for, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until SIGTERM."""
        config = settings.ARCHIVE
        alive.forget(NAME)
        task_postrun.connect(_has_worked)
        places = config.jobs_at_once + 1  # the one beside them is for the ticks
        app.start(
            ["--quiet", "worker", f"--concurrency={places}", "--pool=prefork", "--without-gossip",
             "--without-mingle", "--without-heartbeat", f"--loglevel={config.log_level}"]
        )  # fmt: skip
