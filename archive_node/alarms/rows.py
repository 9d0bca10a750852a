"""One row for each alarm: it begins, is seen again and again, and ends."""

from __future__ import annotations

import logging
from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.utils import timezone

from archive_node.models import Alarm
from pacs_common import errors
from pacs_common.sentences import say

LOG = logging.getLogger(__name__)
WARNING, CRITICAL = Alarm.Level.WARNING, Alarm.Level.CRITICAL


def raise_alarm(kind: str, subject: str, level: str, text: str) -> None:
    """Begin an alarm, or see it again; it may be raised as often as one likes.

    One that becomes critical is told once more, whoever acknowledged it before.
    """
    subject, text = subject[:200], " ".join(text.split())[:500]
    now = timezone.now()
    standing = Alarm.objects.filter(kind=kind, subject=subject, ended_at=None)
    with transaction.atomic():
        if level == CRITICAL:
            standing.filter(level=WARNING).update(
                mailed_at=None, posted_at=None, acknowledged_at=None, acknowledged_by=""
            )
        if standing.update(seen_at=now, level=level, text=text):
            return
    try:
        with transaction.atomic():
            Alarm.objects.create(
                kind=kind, subject=subject, level=level, text=text, began_at=now, seen_at=now
            )
    except IntegrityError:
        return  # another process saw it at the same moment
    LOG.warning("alarm: %s", text, extra={"alarm": kind, "about": subject})


def end_alarm(kind: str, subject: str) -> None:
    """End an alarm, if there is one."""
    _end(Alarm.objects.filter(kind=kind, subject=subject[:200], ended_at=None))


def end_others(kind: str, subjects: Collection[str]) -> None:
    """End every alarm of a kind that is about none of `subjects`."""
    _end(Alarm.objects.filter(kind=kind, ended_at=None).exclude(subject__in=subjects))


def acknowledge(alarm_id: int, by: str) -> Alarm:
    """Note that a person has seen an alarm; the first one stands. Raises NotFound."""
    Alarm.objects.filter(id=alarm_id, acknowledged_at=None).update(
        acknowledged_at=timezone.now(), acknowledged_by=by[:200]
    )
    found = Alarm.objects.filter(id=alarm_id).first()
    if found is None:
        raise errors.NotFound(say("alarm-unknown", alarm=alarm_id))
    return found


def _end(alarms) -> None:
    for alarm in alarms:
        if Alarm.objects.filter(id=alarm.id, ended_at=None).update(ended_at=timezone.now()):
            LOG.info("alarm ended", extra={"alarm": alarm.kind, "about": alarm.subject})
