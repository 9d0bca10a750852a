"""`manage.py archive run`: everything that the archive is, until SIGTERM."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from archive_node import library, nodes
from pacs_common import errors, processes

ROOT = Path(__file__).resolve().parents[3]
CELERY = (sys.executable, "-m", "celery", "-A", "archive_node", "--quiet")


class Command(BaseCommand):
    help = "Run the archive: HTTP, a Celery worker and beat; SIGTERM or Ctrl-C stops all."

    def handle(self, *args: Any, **options: Any) -> None:
        """Bring the database up to date, open the vaults, publish the key, run the programs."""
        call_command("migrate", verbosity=0)
        try:
            for name in library.specs():
                library.vault(name)
            nodes.issuer()
        except errors.ArgensError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        processes.run(programs())


def programs() -> list[processes.Program]:
    """Return the archive's programs, in the order of their start."""
    config = settings.ARCHIVE
    level = f"--loglevel={config.log_level}"
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:archive_node.gunicorn"]
    places = config.jobs_at_once + 1  # the one beside them is for the ticks, which never wait
    worker = ["worker", f"--concurrency={places}", "--pool=prefork", "--without-gossip",
              "--without-mingle", "--without-heartbeat", level]  # fmt: skip
    beat = ["beat", f"--schedule={config.data_dir / 'beat-schedule'}", "--pidfile=", level]
    argvs = {
        "http": [*gunicorn, "archive_node.wsgi:application"],
        "worker": [*CELERY, *worker],
        "beat": [*CELERY, *beat],
    }
    env = {"PYTHONPATH": str(ROOT)}
    return [processes.Program(name, argv, env) for name, argv in argvs.items()]
