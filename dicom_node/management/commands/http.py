"""`manage.py node http`: serve DICOMweb and the custody interface with gunicorn."""

import os
import sys

from django.core.management.base import BaseCommand

from dicom_node.config import CONFIG

WORKERS, THREADS = 2, 32


def argv() -> list[str]:
    """Return gunicorn's command line."""
    return [
        sys.executable, "-m", "gunicorn", "dicom_node.wsgi:application",
        "--bind", f"{CONFIG.http_bind}:{CONFIG.http_port}",
        "--worker-class", "dicom_node.worker.StayingThreads",
        "--workers", str(WORKERS), "--threads", str(THREADS),
        "--timeout", "120", "--graceful-timeout", "5", "--no-control-socket",
        # callers keep idle connections for 5 s: they close first, so no request meets a closed one
        "--keep-alive", "20",
    ]  # fmt: skip


class Command(BaseCommand):
    help = "Serve the node's HTTP port."

    def handle(self, **options: object) -> None:
        """Become gunicorn."""
        command = argv()
        os.execv(command[0], command)  # noqa: S606 - our own command line
