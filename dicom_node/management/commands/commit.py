"""`manage.py node commit ask|list`: storage commitment of what was sent, and its requests."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dicom_node.commitment import overview
from dicom_node.dimse.scp.commit import ask_for_study
from pacs_common.errors import NotFound, UnknownDestination


class Command(BaseCommand):
    help = "Ask a peer to commit a study that was sent to it, or list the requests."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        ask = verbs.add_parser("ask")
        ask.add_argument("peer", help="the peer's AE title, as this node knows it")
        ask.add_argument("study", help="Study Instance UID")
        listed = verbs.add_parser("list")
        listed.add_argument("--peer", default="", help="AE title")
        listed.add_argument("--state", default="")

    def handle(self, verb: str, **options: Any) -> None:
        """Do one verb, or fail with a line; the chores send what is asked."""
        if verb == "ask":
            self._ask(options["peer"], options["study"])
            return
        for one in overview.requests(state=options["state"], peer_ae=options["peer"]):
            error = f" ({one['error']})" if one["error"] else ""
            self.stdout.write(
                f"{one['id']} {one['side']} {one['peer_ae']} {one['state']}: "
                f"{one['committed']} committed, {one['open']} open, {one['failed']} failed{error}"
            )

    def _ask(self, peer_ae: str, study_uid: str) -> None:
        try:
            row = ask_for_study(peer_ae, study_uid, requested_by="command line")
        except (UnknownDestination, NotFound) as error:
            raise CommandError(str(error)) from None
        count = row.items.count()
        self.stdout.write(f"request {row.id}: {row.peer_ae} is asked for {count} instances")
