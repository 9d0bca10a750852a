"""Tells people of alarms as they begin and end: mail and webhook, each until it took them.

The rows say what was told: a process that dies in between tells again, never not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from archive_node.alarms import mail, webhook
from archive_node.models import Alarm
from archive_node.one_at_a_time import Busy, alone
from pacs_common import errors

LOG = logging.getLogger(__name__)
MOST = 50  # in one round
NEWS = timedelta(days=1)  # what ended before was nobody's to tell: no mail server was set
Send = Callable[[Sequence[Alarm]], None]


def tell_all() -> None:
    """Tell what has not been told yet; what fails is tried again in the next round."""
    config = settings.ARCHIVE
    with suppress(Busy), alone("telling"):
        if config.alarm_mail_to:
            _tell("mailed_at", mail.send, MOST)
        if config.alarm_webhook:
            for _ in range(MOST):
                if not _tell("posted_at", webhook.send, 1):
                    break


def _tell(field: str, send: Send, most: int) -> bool:
    """Send up to `most` alarms and note it; return whether there were any, and they were taken."""
    alarms = list(_untold(field)[:most])
    if not alarms:
        return False
    now = timezone.now()
    try:
        send(alarms)
    except (errors.ArgensError, OSError) as error:
        LOG.warning("alarms not told: %s", error, extra={"channel": field})
        return False
    for alarm in alarms:
        _note(field, alarm, now)
    return True


def _untold(field: str):
    began, ended = Q(**{field: None}), Q(**{f"{field}__lt": F("ended_at")})
    is_news = Q(ended_at=None) | Q(ended_at__gt=timezone.now() - NEWS)
    return Alarm.objects.filter(began | ended, is_news).order_by("id")


def _note(field: str, alarm: Alarm, now: datetime) -> None:
    """Note what was told: the row as it was sent, which may have ended or worsened since."""
    same = Alarm.objects.filter(id=alarm.id, level=alarm.level)
    same.update(**{field: max(now, alarm.ended_at) if alarm.ended_at else now})
