"""An index that came back from a backup: older than the disk, which is the truth (rule 2).

A folder of arrival changes whenever a file of it comes, goes, or is replaced (an arrival, an
eviction, a recall, a compression), so the folders tell which hours are newer than the backup.
The studies that have anything there are indexed anew, the others are as they were; decisions and
holds come from the journal for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction

from dicom_node.index import checkpoint, compare, journaled, quarantine
from dicom_node.index.compare import Report
from dicom_node.index.stored import uids_in
from dicom_node.models import Instance, NonPatientObject, Quarantined, Study
from dicom_node.store.journal import Journal
from dicom_node.store.layout import Layout

MARGIN = timedelta(hours=1)  # clocks of a disk and of a machine may differ, and be set
AT_ONCE = 400  # within what one statement of SQLite may name


def settle(layout: Layout, backed_up_at: datetime) -> Report:
    """Make the index say what the disk says; harmless when done again."""
    checkpoint.forget(layout)  # killed in the middle, the node's next start compares everything
    since = (backed_up_at - MARGIN).timestamp()
    newer = set(_newer(layout, layout.objects, since))
    with transaction.atomic():
        for hours in _batches(newer):
            NonPatientObject.objects.filter(hour__in=hours).delete()
        for uids in _batches(_studies_of(layout, newer)):
            Study.objects.filter(uid__in=uids).delete()
        for hours in _batches(_newer(layout, layout.quarantine, since)):
            Quarantined.objects.filter(hour__in=hours).delete()
        journaled.forget()
    report = compare.catch_up(layout, "")
    quarantine.restore(Journal(layout.journal).read())
    compare.restore_whole_studies(layout)
    return report


def _newer(layout: Layout, root: Path, since: float) -> Iterator[str]:
    for hour in layout.hours(root):
        if (root / hour).stat().st_mtime >= since:
            yield hour


def _studies_of(layout: Layout, hours: Iterable[str]) -> set[str]:
    """Return the studies of which a row is of one of these hours, or names a file there."""
    found: set[str] = set()
    for hour in hours:
        of_hour = Instance.every.filter(hour=hour)
        found.update(of_hour.values_list("series__study__uid", flat=True))
        for uids in _batches(uids_in(layout.objects / hour)):
            named = Instance.every.filter(uid__in=uids)
            found.update(named.values_list("series__study__uid", flat=True))
    return found


def _batches(words: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(words)
    for start in range(0, len(ordered), AT_ONCE):
        yield ordered[start : start + AT_ONCE]
