"""`manage.py web nginx upstreams|locations`: the nodes, for nginx in front of the portal."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pacs_web import config
from pacs_web.nodes import nginx
from pacs_web.nodes.registry import own_nodes

PARTS = {"upstreams": nginx.upstreams, "locations": nginx.locations}


class Command(BaseCommand):
    help = "Print what nginx must know to fetch from the registered nodes (PACS_ACCEL_PREFIX)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "part", choices=PARTS, help="what stands in http { }, or in the portal's server { }"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not config.ACCEL_PREFIX:
            raise CommandError("PACS_ACCEL_PREFIX is empty: nginx is handed nothing over")
        for line in PARTS[options["part"]](own_nodes()):
            self.stdout.write(line)
