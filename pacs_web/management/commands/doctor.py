"""`manage.py web doctor`: what is wrong with the portal and what it stands on, and what to do."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from pacs_common.doctor import finding
from pacs_web.management.examination import examinations


class Command(BaseCommand):
    help = "Examine the portal: exit status 0 all is well, 1 warnings, 2 problems."
    requires_system_checks: list[str] = []  # what is broken must not keep the doctor out

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the form of the answer."""
        parser.add_argument("--json", action="store_true", help="a list of findings as JSON")

    def handle(self, **options: Any) -> None:
        """Tell a line for each finding, as soon as it is found."""
        sys.exit(finding.tell(examinations(), self.stdout.write, json=options["json"]))
