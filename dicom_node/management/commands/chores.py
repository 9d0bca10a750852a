"""`manage.py node chores`: what the node does by itself."""

from django.core.management.base import BaseCommand

from dicom_node.chores.loop import run
from dicom_node.config import CONFIG
from dicom_node.store.layout import Layout
from pacs_common.processes import StopSignals


class Command(BaseCommand):
    help = "Compute digests, forward, report commitments and tidy until stopped."

    def handle(self, **options: object) -> None:
        """Work until SIGTERM or SIGINT."""
        stop_signals = StopSignals()
        run(Layout(CONFIG.data_dir), stop_signals.arrive_within)
