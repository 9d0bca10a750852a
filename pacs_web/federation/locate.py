"""Remembers for minutes which nodes hold a study, so that only they are asked again.

Rows of our own and not Django's cache: two hundred studies of a search are one statement,
and all processes of the portal share them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.utils import timezone

from pacs_web.federation.models import Location

REMEMBERED = timedelta(minutes=10)
BATCH = 300  # SQLite's limit of variables in one statement is higher; older ones allow 999


def remember(holders: Mapping[str, Iterable[str]]) -> None:
    """Note which nodes hold each study, and forget what is old."""
    now = timezone.now()
    Location.objects.filter(seen_at__lt=now - REMEMBERED).delete()
    Location.objects.bulk_create(
        [
            Location(study_uid=uid, node=node, seen_at=now)
            for uid, nodes in holders.items()
            for node in nodes
        ],
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["study_uid", "node"],
        update_fields=["seen_at"],
    )


def remembered_holders(study_uid: str) -> set[str]:
    """Return the nodes known to hold the study; empty where all must be asked."""
    since = timezone.now() - REMEMBERED
    rows = Location.objects.filter(study_uid=study_uid, seen_at__gt=since)
    return set(rows.values_list("node", flat=True))


def forget(study_uid: str) -> None:
    """Forget where a study was: it is not there any more."""
    Location.objects.filter(study_uid=study_uid).delete()
