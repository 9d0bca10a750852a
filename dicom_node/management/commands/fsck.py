"""`manage.py node fsck`: the whole disk against the index, and every file against its digest."""

from collections.abc import Iterator

from django.core.management.base import BaseCommand, CommandError

from dicom_node.config import CONFIG
from dicom_node.index import changes, rebuild
from dicom_node.models import Instance, NonPatientObject, Quarantined
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError


class Command(BaseCommand):
    help = "Compare every stored file with the index; exit 1 where something is lost or damaged."

    def handle(self, **options: object) -> None:
        """Index what was not, read every file, and list each loss."""
        layout = Layout(CONFIG.data_dir)
        report = rebuild.catch_up(layout, since="")
        damaged = []
        for row in _online():
            is_damaged = not _is_intact(layout, row)
            damaged += [row.uid] * is_damaged
            if is_damaged != row.damaged:
                same = type(row).objects.filter(id=row.id, size_bytes=row.size_bytes)
                same.update(damaged=is_damaged)  # not where it was compressed meanwhile
                if isinstance(row, Instance):
                    changes.note_instances([row.id])
        report.missing += [f"quarantine/{row.uid}" for row in _quarantined_without_file(layout)]
        for uid in damaged:
            self.stderr.write(f"damaged: {uid}")
        for line in [*report.missing, *report.unreadable]:
            self.stderr.write(f"missing or unreadable: {line}")
        self.stdout.write(f"{report.added} instances added, {len(damaged)} damaged or gone")
        if damaged or report.missing or report.unreadable:
            raise CommandError("the store is not whole; see the lines above")


def _online() -> Iterator[Instance | NonPatientObject]:
    yield from Instance.every.filter(availability=Availability.ONLINE).iterator()
    yield from NonPatientObject.objects.iterator()


def _quarantined_without_file(layout: Layout) -> Iterator[Quarantined]:
    for row in Quarantined.objects.iterator():
        if not layout.quarantined(row.hour, row.uid, row.received_sha256).exists():
            yield row


def _is_intact(layout: Layout, row: Instance | NonPatientObject) -> bool:
    path = layout.object(row.hour, row.uid)
    try:
        return part10.data_set_sha256(path) == row.received_sha256
    except (ArgensError, OSError):
        return False
