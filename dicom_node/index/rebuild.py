"""The index from the node's disk alone, by `reindex`.

Files are taken in the order of their arrival, so that a rebuilt index equals the one before.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from dicom_node.index import checkpoint, corrections, journaled, quarantine, rejections
from dicom_node.index.compare import (
    Report,
    add_files,
    add_quarantined,
    catch_up,
    restore_whole_studies,
)
from dicom_node.index.stored import Evictions, entry_of_file, uids_in
from dicom_node.models import (
    Correction,
    EvictionPlan,
    Instance,
    NonPatientObject,
    Quarantined,
    RejectedItem,
    Rejection,
    Series,
    Study,
    WithheldStudy,
)
from dicom_node.store.journal import Journal
from dicom_node.store.layout import Layout

__all__ = ["Report", "catch_up", "entry_of_file", "rebuild"]


_ALL = (
    *(Instance, Series, Study, NonPatientObject, Quarantined, EvictionPlan),
    *(RejectedItem, Rejection, Correction, WithheldStudy),
)


def rebuild(layout: Layout, progress: Callable[[str], None] = lambda hour: None) -> Report:
    """Forget the index and make it again from the disk alone.

    Should it be killed half-way, the next start finishes it: the checkpoint is forgotten first.
    """
    checkpoint.forget(layout)
    with transaction.atomic():
        for model in _ALL:
            model._base_manager.all().delete()
        journaled.forget()
    journal = Journal(layout.journal)
    rejections.restore(journal.read())
    corrections.restore(journal.read())
    report = Report()
    evicted = Evictions(layout)
    for hour in layout.hours(layout.objects):
        progress(hour)
        add_files(layout, hour, sorted(uids_in(layout.objects / hour)), evicted, report)
    for hour in layout.hours(layout.quarantine):
        add_quarantined(layout, hour, report)
    quarantine.restore(journal.read())
    restore_whole_studies(layout)
    journaled.look_through(journal)
    return report
