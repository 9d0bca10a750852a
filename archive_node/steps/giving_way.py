"""Long reads let others at the drive: a recall never waits behind a whole volume."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from archive_node import library
from archive_node.models import Copy, Job
from archive_node.steps.work import GaveWay, Work

PAUSE_S = 30.0  # after which it is due again, behind the recalls


def give_way(work: Work) -> None:
    """Give the job back, raising GaveWay, where a recall wants this volume, or the only drive.

    To be called between two members: what was done so far is kept.
    """
    there = Copy.objects.filter(
        node=OuterRef("node"),
        study_uid=OuterRef("study_uid"),
        vault=work.vault,
        bad_since=None,
        verified_at__isnull=False,
    )
    if library.vault(work.vault).drives > 1:
        there = there.filter(volume=work.volume)
    due = Q(state=Job.State.RUNNING) | Q(state=Job.State.QUEUED, due_at__lte=timezone.now())
    if Job.objects.filter(due, Exists(there), kind=Job.Kind.RECALL).exists():
        work.give_back(PAUSE_S)
        raise GaveWay
