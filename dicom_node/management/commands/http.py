"""`manage.py node http`: serve DICOMweb and the custody interface with gunicorn."""

from django.core.management.base import BaseCommand

from dicom_node.config import CONFIG
from pacs_common.serving import serve

APPLICATION = "dicom_node.wsgi:application"
WORKERS, THREADS = 2, 32


class Command(BaseCommand):
    help = "Serve the node's HTTP port."

    def handle(self, **options: object) -> None:
        """Serve until SIGTERM or SIGINT."""
        serve(
            APPLICATION,
            proc_name="argens: manage.py node http",
            bind=f"{CONFIG.http_bind}:{CONFIG.http_port}",
            worker_class="dicom_node.worker.StayingThreads",
            workers=WORKERS,
            threads=THREADS,
            timeout=120,
            # callers keep idle connections for 5 s: they close first: no request meets a closed one
            keepalive=20,
        )
