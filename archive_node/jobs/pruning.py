"""Removes the rows of jobs that nobody will look up any more."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from archive_node.jobs.moves import State
from archive_node.models import Job

BATCH = 500


def prune() -> int:
    """Remove jobs that were done or cancelled long ago, with their plans; return how many.

    One that has a younger plan stays: the node may still be asked for its answer. What failed
    stays too, until the same was asked for again.
    """
    until = timezone.now() - timedelta(days=settings.ARCHIVE.jobs_keep_days)
    of_no_use = Q(state__in=[State.DONE, State.CANCELLED]) | Q(state=State.FAILED) & _repeated()
    old = Job.objects.filter(of_no_use, updated_at__lt=until)
    old = old.exclude(plans__created_at__gte=until).order_by("id")
    removed = 0
    while ids := list(old.values_list("id", flat=True)[:BATCH]):
        Job.objects.filter(id__in=ids).delete()
        removed += len(ids)
    return removed


def _repeated() -> Exists:
    same = {name: OuterRef(name) for name in ("kind", "node", "study_uid", "vault", "volume")}
    return Exists(Job.objects.filter(id__gt=OuterRef("id"), **same))
