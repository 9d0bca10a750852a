"""`manage.py archive rotate-key`: the archive's next key for tickets, without a refused request."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from archive_node import nodes
from pacs_common import key_rotation
from pacs_common.errors import ArgensError
from pacs_common.node_client import NodeClient


class Command(BaseCommand):
    help = "Let a new key sign the archive's tickets once every node knows it (docs/security.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the overlap and the kinds of rotation."""
        key_rotation.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, or ask who believes the newest key."""
        if options["check"]:
            return self._check()
        config = settings.ARCHIVE
        issuer = key_rotation.Issuer(
            nodes.NAME, config.ticket_key, config.ticket_key_file, config.trust_dir
        )
        try:
            key_rotation.run(
                issuer, sys.stdout, sys.stderr, options["overlap_s"], options["stolen"]
            )
        except (ArgensError, ValueError, OSError) as error:
            raise CommandError(str(error)) from None

    def _check(self) -> None:
        newest = nodes.issuer().newest()
        places = settings.ARCHIVE.nodes
        peers = {
            name: NodeClient(name, url, newest, subject="rotate-key")
            for name, url in places.items()
        }
        lines, all_do = key_rotation.believed(peers)
        self.stdout.write("\n".join(lines))
        if not all_do:
            raise CommandError("not every node believes the newest key")
