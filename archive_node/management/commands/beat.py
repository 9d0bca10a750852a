"""`manage.py archive beat`: the ticks, alone; there is one beat for one archive."""

from __future__ import annotations

from typing import Any

from celery.signals import after_task_publish
from django.conf import settings
from django.core.management.base import BaseCommand

from archive_node.celery import app
from archive_node.management import alive

NAME = "beat"


def _has_sent(**told: object) -> None:
    """Tell of a tick that the broker has taken."""
    alive.sign(NAME)


class Command(BaseCommand):
    help = "Send the archive's worker what is due, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        """Tick until SIGTERM."""
        config = settings.ARCHIVE
        alive.forget(NAME)
        after_task_publish.connect(_has_sent)
        schedule = config.data_dir / "beat-schedule"
        app.start(
            ["--quiet", "beat", f"--schedule={schedule}", "--pidfile=",
             f"--loglevel={config.log_level}"]
        )  # fmt: skip
