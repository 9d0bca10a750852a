"""`manage.py web install-viewer [--from FILE]`: puts the full viewer (OHIF) in place."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pacs_web.full_viewer.install.installing import install
from pacs_web.full_viewer.install.package import CannotInstall
from pacs_web.full_viewer.release import PACKAGE, VERSION, release_dir


class Command(BaseCommand):
    help = f"Fetch {PACKAGE} {VERSION} with npm, check it, and prepare it to be served."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from",
            dest="package",
            type=Path,
            help=f"the package as a file (from `npm pack {PACKAGE}@{VERSION}`)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            new = install(self.stdout.write, options["package"])
        except CannotInstall as error:
            raise CommandError(f"the full viewer is not installed: {error}") from None
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            raise CommandError(
                f"the full viewer is not installed: {error.strerror or error}{where}"
            ) from None
        done = "is installed in" if new else "lies already in"
        self.stdout.write(f"OHIF {VERSION} {done} {release_dir()}")
