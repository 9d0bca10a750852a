"""`manage.py node chores`: what the node does by itself."""

import signal
import threading

from django.core.management.base import BaseCommand

from dicom_node.chores.loop import run
from dicom_node.config import CONFIG
from dicom_node.store.layout import Layout


class Command(BaseCommand):
    help = "Compute digests and write checkpoints until stopped."

    def handle(self, **options: object) -> None:
        """Work until SIGTERM or SIGINT."""
        stopping = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stopping.set())
        run(Layout(CONFIG.data_dir), stopping)
