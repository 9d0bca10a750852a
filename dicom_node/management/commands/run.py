"""`manage.py node run`: the whole node: DICOM port, HTTP port and chores."""

from functools import partial

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from dicom_node.config import CONFIG
from dicom_node.management.commands import http
from dicom_node.sealed import account
from dicom_node.store.layout import Layout
from pacs_common.branches import Branch
from pacs_common.processes import run
from pacs_common.serving import load


class Command(BaseCommand):
    help = "Run the node's processes until stopped."

    def handle(self, **options: object) -> None:
        """Migrate the index, then supervise the three processes."""
        call_command("migrate", verbosity=0, interactive=False)
        load(http.APPLICATION)  # imported once, here, for all
        connections.close_all()
        account.tell(Layout(CONFIG.data_dir))
        run(
            [
                Branch(name, f"argens: manage.py node {name}", partial(call_command, name))
                for name in ("scp", "chores", "http")
            ]
        )
