"""Which instances a retrieve names, and what is noted when they are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.core.cache import cache
from django.db.models import Q, QuerySet
from django.utils import timezone

from dicom_node.index.attributes import LEVELS, UNIQUE_KEY, Level
from dicom_node.index.matching import is_universal, split_uids
from dicom_node.models import Instance, RecallRequest, Study
from pacs_common.availability import Availability, least
from pacs_common.errors import BadQuery, NotOnline


class OnShelf(NotOnline):
    """The bytes are on a volume outside the library: its recall needs an operator (OFFLINE)."""

    retry_after_s = 600


ACCESS_NOTED_EVERY = timedelta(seconds=30)
_COLUMN = {
    Level.PATIENT: "series__study__patient_id__in",
    Level.STUDY: "series__study__uid__in",
    Level.SERIES: "series__uid__in",
    Level.IMAGE: "uid__in",
}


def instances(level: Level, keys: Mapping[str, str]) -> QuerySet[Instance]:
    """Return the instances under the unique keys of a level and those above (PS3.4 C.4.2.2.1).

    Raises BadQuery where the level's own key is missing: nobody retrieves everything.
    """
    if is_universal(keys.get(UNIQUE_KEY[level], "")):
        raise BadQuery(f"{UNIQUE_KEY[level]} is required at the {level} level")
    wanted = Q()
    for above in LEVELS[: LEVELS.index(level) + 1]:
        value = keys.get(UNIQUE_KEY[above], "").strip(" \0")
        if not is_universal(value):
            values = [value] if above is Level.PATIENT else split_uids(value)
            wanted &= Q(**{_COLUMN[above]: values})
    if keys.get("IssuerOfPatientID"):
        wanted &= Q(series__study__issuer=keys["IssuerOfPatientID"])
    return (
        Instance.objects.filter(wanted)
        .select_related("series__study")
        .order_by("series__study__uid", "series__number", "series__uid", "number", "uid")
    )


def note_access(study_ids: Iterable[int]) -> None:
    """Remember that studies were read now: eviction takes the least recently used first.

    What this process noted a moment ago is not written again: a viewer asks for each frame.
    """
    news = {study_id for study_id in set(study_ids) if not cache.get(f"accessed:{study_id}")}
    if not news:
        return
    now = timezone.now()
    stale = Q(last_access_at=None) | Q(last_access_at__lt=now - ACCESS_NOTED_EVERY)
    Study.objects.filter(stale, id__in=news).update(last_access_at=now, changed_at=now)
    noted = {f"accessed:{study_id}": True for study_id in news}
    cache.set_many(noted, ACCESS_NOTED_EVERY.total_seconds())


def not_online(places: Iterable[str]) -> NotOnline:
    """Return why pixels cannot be read now, by the availability of each instance that is asked."""
    if least(places) == Availability.OFFLINE:
        return OnShelf(
            "the images are OFFLINE, on a volume outside the archive's library: "
            "their recall was asked for, and an operator must bring the volume"
        )
    return NotOnline("the images are in the archive; their recall was asked for")


def note_absence(found: Iterable[Instance], who: str) -> None:
    """Ask the archive for the studies of instances that are not online."""
    away = (i.series.study.uid for i in found if i.availability != Availability.ONLINE)
    ask_for(away, who)


def ask_for(study_uids: Iterable[str], who: str) -> None:
    """Ask the archive for studies, once for each."""
    for study_uid in set(study_uids):
        RecallRequest.objects.get_or_create(
            study_uid=study_uid, defaults={"requested_by": who[:200]}
        )
