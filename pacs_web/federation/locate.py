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


def remember(holders: Mapping[str, Iterable[str]], *, complete: bool) -> None:
    """Note which nodes hold each study, and forget what is old.

    `complete` says that every node was heard; what some said never overrules what all said.
    """
    now = timezone.now()
    Location.objects.filter(seen_at__lt=now - REMEMBERED).delete()
    rows = [
        Location(study_uid=uid, node=node, seen_at=now, complete=complete)
        for uid, nodes in holders.items()
        for node in nodes
    ]
    if not complete:
        Location.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
        return
    Location.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["study_uid", "node"],
        update_fields=["seen_at", "complete"],
    )


def known_holders(study_uid: str) -> set[str]:
    """Return nodes known to hold the study, or a part of it; empty where none is known."""
    return {node for node, _complete in _seen_lately(study_uid)}


def all_holders(study_uid: str) -> set[str]:
    """Return the nodes that hold the study; empty where others may hold a part of it."""
    rows = _seen_lately(study_uid)
    return {node for node, _complete in rows} if all(complete for _, complete in rows) else set()


def _seen_lately(study_uid: str) -> list[tuple[str, bool]]:
    since = timezone.now() - REMEMBERED
    rows = Location.objects.filter(study_uid=study_uid, seen_at__gt=since)
    return list(rows.values_list("node", "complete"))


def forget(study_uid: str) -> None:
    """Forget where a study was: it is not there any more."""
    Location.objects.filter(study_uid=study_uid).delete()
