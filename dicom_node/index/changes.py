"""When a study last changed in what the archive is told of it, so that it asks for no other.

Whoever writes a study's row sets `changed_at` by the same statement; the rest calls `note`.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from dicom_node.models import Instance, Study


def note(study_uids: Iterable[str]) -> None:
    """Say that studies changed now; waits for nobody.

    Whoever holds a study's row is changing it, and says so himself.
    """
    uids = set(study_uids)
    if not uids:
        return
    with transaction.atomic(savepoint=False):
        free = Study.objects.select_for_update(skip_locked=True).filter(uid__in=uids)
        ids = list(free.values_list("id", flat=True))
        Study.objects.filter(id__in=ids).update(changed_at=timezone.now())


def note_instances(ids: Iterable[int]) -> None:
    """Say that the studies of instances changed now."""
    found = Instance.every.filter(id__in=list(ids))
    note(found.values_list("series__study__uid", flat=True).distinct())
