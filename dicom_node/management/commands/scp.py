"""`manage.py node scp`: serve the DICOM port."""

import socket

from django.core.management.base import BaseCommand, CommandError

from dicom_node.arrivals import transfers
from dicom_node.config import CONFIG
from dicom_node.dimse.association.tls import ServerTls, reason
from dicom_node.dimse.server.port import Listener, listen
from dicom_node.dimse.server.supervisor import Supervisor
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
        rebuild.catch_up(layout, checkpoint.start(layout))
        transfers.close_open()
        listeners = [Listener(_bound(CONFIG.dicom_bind, CONFIG.dicom_port))]
        if CONFIG.tls.port:
            listeners.append(_secured())
        Supervisor(layout, listeners).run(stop_signals.arrive_within)


def _secured() -> Listener:
    try:
        return Listener(_bound(CONFIG.tls.bind, CONFIG.tls.port), ServerTls(CONFIG.tls))
    except OSError as error:
        raise CommandError(f"no TLS port: {reason(error)}") from None


def _bound(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise CommandError(f"cannot listen on {host}:{port}: {error.strerror}") from None
