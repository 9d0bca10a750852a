"""`manage.py node scp`: serve the DICOM port."""

from django.core.management.base import BaseCommand, CommandError

from dicom_node.config import CONFIG
from dicom_node.dimse.server import DicomServer
from dicom_node.index import checkpoint, rebuild
from dicom_node.store.blobs import ensure_folder
from dicom_node.store.layout import Layout
from pacs_common.processes import StopSignals


class Command(BaseCommand):
    help = "Serve the node's DICOM port (after making the index whole)."

    def handle(self, **options: object) -> None:
        """Catch up with the disk, serve until SIGTERM or SIGINT, then stop cleanly."""
        stop_signals = StopSignals()
        layout = Layout(CONFIG.data_dir)
        ensure_folder(layout.objects)
        rebuild.catch_up(layout, checkpoint.read(layout))
        try:
            server = DicomServer(
                layout,
                CONFIG.dicom_bind,
                CONFIG.dicom_port,
                reserve_bytes=CONFIG.reserve_bytes,
            )
        except OSError as error:
            address = f"{CONFIG.dicom_bind}:{CONFIG.dicom_port}"
            raise CommandError(f"cannot listen on {address}: {error.strerror}") from None
        checkpoint.keep(layout, stop_signals.arrive_within)
        server.stop()
