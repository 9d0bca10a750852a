"""`manage.py node echo HOST PORT`: C-ECHO a peer."""

import argparse

from django.core.management.base import BaseCommand, CommandError

from dicom_node.config import CONFIG
from dicom_node.dimse import send
from pacs_common.errors import PeerUnreachable


class Command(BaseCommand):
    help = "Verify that a DICOM peer answers."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the peer."""
        parser.add_argument("host")
        parser.add_argument("port", type=int)
        parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title")
        parser.add_argument("--calling", default=CONFIG.ae_title, help="our AE title")

    def handle(self, host: str, port: int, **options: str) -> None:
        """Echo, and say so; or fail with the peer's reason."""
        called, calling = options["called"], options["calling"]
        try:
            send.echo(host, port, called_ae=called, calling_ae=calling)
        except PeerUnreachable as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{called} at {host}:{port} answers")
