"""Alarms by mail: one message for all that began and ended since the last."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

from django.conf import settings
from django.core.mail import EmailMessage

from archive_node.models import Alarm
from pacs_common import errors


def send(alarms: Sequence[Alarm]) -> None:
    """Send one message; raises Unavailable where the mail server does not take it."""
    config = settings.ARCHIVE
    message = EmailMessage(
        subject=_subject(alarms),
        body="\n\n".join(map(_paragraph, alarms)) + "\n",
        from_email=config.alarm_mail_from,
        to=list(config.alarm_mail_to),
    )
    try:
        message.send()
    except (smtplib.SMTPException, OSError) as error:
        raise errors.Unavailable(f"the mail server: {error}") from None


def _subject(alarms: Sequence[Alarm]) -> str:
    if len(alarms) == 1:
        return f"[Argens] {_word(alarms[0])}: {alarms[0].kind} {alarms[0].subject}"[:150]
    critical = sum(alarm.level == Alarm.Level.CRITICAL and not alarm.ended_at for alarm in alarms)
    return f"[Argens] {len(alarms)} alarms began or ended, {critical} critical"


def _paragraph(alarm: Alarm) -> str:
    times = f"began {alarm.began_at:%Y-%m-%d %H:%M} UTC"
    if alarm.ended_at:
        times += f", ended {alarm.ended_at:%Y-%m-%d %H:%M} UTC"
    return f"{_word(alarm)}: {alarm.kind} {alarm.subject}\n{alarm.text}\n{times}"


def _word(alarm: Alarm) -> str:
    return "ended" if alarm.ended_at else alarm.level
