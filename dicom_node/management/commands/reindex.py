"""`manage.py node reindex`: the index again, from the disk alone."""

from django.core.management.base import BaseCommand

from dicom_node.config import CONFIG
from dicom_node.index import rebuild
from dicom_node.store.layout import Layout


class Command(BaseCommand):
    help = "Forget the index and rebuild it from the node's disk. Stop the node first."

    def handle(self, **options: object) -> None:
        """Rebuild, telling the hours as they pass, and say what could not be read."""
        layout = Layout(CONFIG.data_dir)
        report = rebuild.rebuild(layout, lambda hour: self.stderr.write(hour))
        for line in report.unreadable:
            self.stderr.write(f"not indexed: {line}")
        self.stdout.write(
            f"{report.added} instances indexed, {report.quarantined} in quarantine, "
            f"{len(report.unreadable)} not readable"
        )
