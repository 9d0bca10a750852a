"""`manage.py web rotate-key`: the portal's next key for tickets, without a refused request."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pacs_common import key_rotation
from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import ArgensError
from pacs_common.node_client import NodeClient
from pacs_web import config
from pacs_web.nodes import registry


class Command(BaseCommand):
    help = "Let a new key sign the portal's tickets once every server knows it (docs/security.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the overlap and the kinds of rotation."""
        key_rotation.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, or ask who believes the newest key."""
        if options["check"]:
            return self._check()
        issuer = key_rotation.Issuer(
            registry.ISSUER, config.TICKET_KEY, config.TICKET_KEY_FILE, config.TRUST_DIR
        )
        try:
            key_rotation.run(
                issuer, sys.stdout, sys.stderr, options["overlap_s"], options["stolen"]
            )
        except (ArgensError, ValueError, OSError) as error:
            raise CommandError(str(error)) from None

    def _check(self) -> None:
        newest, subject = registry.ticket_issuer().newest(), "rotate-key"
        peers: dict[str, key_rotation.Peer] = {
            row.name: NodeClient(row.name, row.url, newest, subject=subject)
            for row in registry.own_nodes()
        }
        for row in registry.registered_archive():
            peers[row.name] = ArchiveClient(row.url, newest, subject=subject)
        lines, all_do = key_rotation.believed(peers)
        self.stdout.write("\n".join(lines))
        if not all_do:
            raise CommandError("not every server believes the newest key")
