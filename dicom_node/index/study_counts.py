"""A study's lock, and what it counts of its instances that are away."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from dicom_node.models import Instance, Series, Study


def lock_study(study_id: int) -> None:
    """Let nobody else change a study or what it counts, until the caller's transaction ends.

    It comes before any change of its instances, as arrivals and rejections lock it.
    """
    list(Study.objects.select_for_update().filter(id=study_id).values_list("id"))


def count_evicted(instance: Instance, step: int) -> None:
    """Count one instance as evicted (+1) or as back (-1), inside the caller's transaction.

    What is rejected (meanwhile, perhaps) takes and frees space, but no answer's availability
    depends on it. The caller has locked the study.
    """
    size = step * instance.size_bytes
    step = step if Instance.objects.filter(id=instance.id).exists() else 0
    Series.objects.filter(id=instance.series_id).update(evicted_count=F("evicted_count") + step)
    Study.objects.filter(id=instance.series.study_id).update(
        evicted_count=F("evicted_count") + step,
        online_bytes=F("online_bytes") - size,
        changed_at=timezone.now(),
    )
