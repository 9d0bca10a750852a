"""`manage.py node http`: serve DICOMweb and the custody interface with gunicorn."""

from django.core.management.base import BaseCommand

from dicom_node import gunicorn
from pacs_common.serving import serve

APPLICATION = "dicom_node.wsgi:application"


class Command(BaseCommand):
    help = "Serve the node's HTTP port."

    def handle(self, **options: object) -> None:
        """Serve until SIGTERM or SIGINT."""
        serve(APPLICATION, **gunicorn.SETTINGS)
