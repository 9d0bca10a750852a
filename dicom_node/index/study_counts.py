"""A study's lock, and what it counts of its instances that are away."""

from __future__ import annotations

from django.db.models import Count, F
from django.utils import timezone

from dicom_node.models import Instance, Series, Study
from pacs_common.availability import Availability


def lock_study(study_id: int) -> None:
    """Let nobody else change a study or what it counts, until the caller's transaction ends.

    It comes before any change of its instances, as arrivals and rejections lock it.
    """
    list(Study.objects.select_for_update().filter(id=study_id).values_list("id"))


def count_evicted(instance: Instance, step: int, *, is_offline: bool = False) -> None:
    """Count one instance as evicted (+1) or as back (-1), inside the caller's transaction.

    What is rejected (meanwhile, perhaps) takes and frees space, but no answer's availability
    depends on it. The caller has locked the study.
    """
    size = step * instance.size_bytes
    step = step if Instance.objects.filter(id=instance.id).exists() else 0
    away = {"evicted_count": F("evicted_count") + step}
    if is_offline:
        away["offline_count"] = F("offline_count") + step
    Series.objects.filter(id=instance.series_id).update(**away)
    Study.objects.filter(id=instance.series.study_id).update(
        **away, online_bytes=F("online_bytes") - size, changed_at=timezone.now()
    )


def count_offline(study_id: int) -> None:
    """Count anew how many instances of a study, and of its series, an operator must fetch.

    The caller has locked the study.
    """
    shelved = Instance.objects.filter(
        series__study=study_id, availability=Availability.OFFLINE
    ).values_list("series_id")
    counts = dict(shelved.annotate(number=Count("id")).order_by())
    for series in Series.objects.filter(study=study_id):
        count = counts.get(series.id, 0)
        Series.objects.filter(id=series.id).exclude(offline_count=count).update(offline_count=count)
    total = {"offline_count": sum(counts.values()), "changed_at": timezone.now()}
    Study.objects.filter(id=study_id).update(**total)
