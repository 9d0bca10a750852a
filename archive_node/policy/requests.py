"""Asks for many jobs at once, as a rule or a list does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.db import transaction
from django.utils import timezone

from archive_node.jobs import dispatch
from archive_node.models import Job

RULE = "rule"
SENT_AT_ONCE = 2  # whoever ends one sends the next
_PAGE = 500


def request_all(
    kind: str, node: str, study_uids: Sequence[str], requested_by: str, *, vault: str = ""
) -> dict[str, Job]:
    """Return the open job of this kind for each study; those that were lacking are made.

    The constraint keeps one open job for each, whoever else asks at the same time; one that ended
    meanwhile is left out.
    """
    found: dict[str, Job] = {}
    for start in range(0, len(study_uids), _PAGE):
        found |= _asked(kind, node, study_uids[start : start + _PAGE], requested_by, vault)
    return found


def _asked(
    kind: str, node: str, study_uids: Sequence[str], requested_by: str, vault: str
) -> dict[str, Job]:
    now = timezone.now()
    with transaction.atomic():
        Job.objects.bulk_create(
            [
                Job(
                    kind=kind, node=node, study_uid=uid, vault=vault, due_at=now, created_at=now,
                    updated_at=now, requested_by=requested_by[:200],
                    priority=dispatch.PRIORITIES[Job.Kind(kind)],
                )
                for uid in study_uids
            ],
            ignore_conflicts=True,
        )  # fmt: skip
        opened = Job.objects.filter(
            kind=kind, node=node, study_uid__in=study_uids, vault=vault, state__in=Job.OPEN
        )
        found = {job.study_uid: job for job in opened}
        fresh = [job.id for job in found.values() if job.created_at == now][:SENT_AT_ONCE]
        transaction.on_commit(partial(_send, fresh))
    return found


def _send(job_ids: Sequence[int]) -> None:
    for job_id in job_ids:
        dispatch.send(job_id)
