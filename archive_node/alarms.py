"""What somebody must look at: one row from the beginning of a trouble to its end."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from archive_node.models import Alarm


def raise_alarm(kind: str, subject: str, level: str, text: str) -> None:
    """Begin an alarm, or say of one that lasts that it was seen again."""
    fields = {"level": level, "text": text[:500], "seen_at": timezone.now()}
    lasting = Alarm.objects.filter(kind=kind, subject=subject[:200], ended_at=None)
    if lasting.update(**fields):
        return
    try:
        with transaction.atomic():
            Alarm.objects.create(kind=kind, subject=subject[:200], **fields)
    except IntegrityError:  # another was first
        lasting.update(**fields)


def end_alarm(kind: str, subject: str) -> None:
    """End an alarm, where it lasts."""
    lasting = Alarm.objects.filter(kind=kind, subject=subject[:200], ended_at=None)
    lasting.update(ended_at=timezone.now())
