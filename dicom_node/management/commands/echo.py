"""`manage.py node echo HOST PORT` or `--to AE_TITLE`: C-ECHO a peer."""

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dicom_node.dimse.scu import send
from dicom_node.management import peer_arguments
from pacs_common.errors import ArgensError


class Command(BaseCommand):
    help = "Verify that a DICOM peer answers."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the peer."""
        parser.add_argument("peer", nargs="*", help=peer_arguments.USAGE)
        peer_arguments.add(parser)

    def handle(self, peer: list[str], **options: Any) -> None:
        """Echo, and say so; or fail with the peer's reason."""
        remote, _ = peer_arguments.named(peer, options)
        began = time.monotonic()
        try:
            send.echo(remote)
        except ArgensError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{remote} answers ({1000 * (time.monotonic() - began):.0f} ms)")
