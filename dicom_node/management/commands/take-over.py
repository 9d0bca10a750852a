"""`manage.py node take-over NAME`: this PC takes the place of a node that is lost."""

import argparse
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from dicom_node.config import CONFIG
from dicom_node.custody import replacing
from dicom_node.management import taking_over
from dicom_node.peers import book
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError


class Command(BaseCommand):
    help = (
        "Take the place of a node that is lost, with its settings: store what arrives at once, "
        "and have the archive bring back the old studies. See docs/runbooks/node-lost.md."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("name", help="the lost node's name, which is PACS_NODE_NAME here")
        parser.add_argument("--old", default="", help="its address, where it is not ours")
        parser.add_argument(
            "--from",
            dest="source",
            type=Path,
            help="folder with the public keys of portal and archive, and the old node's "
            "peers.json, forwarding.json and dicom-users.json, as far as there are any",
        )
        parser.add_argument(
            "--prepare-only", action="store_true", help="do not serve: a service is started later"
        )

    def handle(self, name: str, old: str, source: Path | None, **options: bool) -> None:
        """Check, mark, then serve; or say in one line why not."""
        layout = Layout(CONFIG.data_dir)
        try:
            taking_over.require_name(CONFIG, name)
            taking_over.require_silence(CONFIG, old)
            taking_over.require_empty(layout)
            carried = taking_over.carry(CONFIG, source) if source else []
            taking_over.require_trust(CONFIG)
        except (ArgensError, OSError) as error:
            raise CommandError(str(error)) from None
        replacing.begin(layout)
        self._tell(carried)
        if not options["prepare_only"]:
            call_command("run")

    def _tell(self, carried: list[str]) -> None:
        self.stdout.write(
            f"{CONFIG.name} is taken over: AE title {CONFIG.ae_title}, DICOM port "
            f"{CONFIG.dicom_port}, HTTP port {CONFIG.http_port}"
        )
        if carried:
            self.stdout.write(f"brought along: {', '.join(carried)}")
        if not (book.current().peers or CONFIG.accept_loopback):
            self.stdout.write(
                "no peer is known here: modalities are rejected until they are approved at "
                "/admin-console/peers/ (or `manage.py node peers approve`)"
            )
        self.stdout.write("the archive brings the old studies back from its next scan on")
        self.stdout.flush()
