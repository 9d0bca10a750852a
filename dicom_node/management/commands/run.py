"""`manage.py node run`: the whole node: DICOM port, HTTP port and chores."""

import sys
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand

from pacs_common.processes import Program, run

MANAGE = Path(__file__).resolve().parents[3] / "manage.py"


class Command(BaseCommand):
    help = "Run the node's processes until stopped."

    def handle(self, **options: object) -> None:
        """Migrate the index, then supervise the three processes."""
        call_command("migrate", verbosity=0, interactive=False)
        run(
            [
                Program(name, [sys.executable, str(MANAGE), "node", name])
                for name in ("scp", "chores", "http")
            ]
        )
