"""`manage.py archive http`: the archive's interface, alone (`prepare` comes before it)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from archive_node import gunicorn
from pacs_common import serving

APPLICATION = "archive_node.wsgi:application"


class Command(BaseCommand):
    help = "Serve the archive's HTTP port."

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until SIGTERM or SIGINT."""
        serving.serve(APPLICATION, **gunicorn.SETTINGS)
