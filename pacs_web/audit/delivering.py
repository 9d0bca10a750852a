"""Sends the chain's rows on as DICOM audit messages; the table is the spool, a cursor the place."""

from __future__ import annotations

import logging

from django.utils import timezone

from pacs_web import config
from pacs_web.audit.dicom_message import message_of
from pacs_web.audit.models import AuditEvent, AuditTarget
from pacs_web.audit.syslog import Receiver, syslog_message

LOG = logging.getLogger(__name__)
SYSLOG = "syslog"
ROWS_AT_ONCE = 500
MOST_BATCHES = 200  # in one round: the rest goes in the next


def receiver() -> Receiver | None:
    """Return the receiver that the settings name; None without one."""
    if not config.AUDIT_SYSLOG_HOST:
        return None
    return Receiver(
        config.AUDIT_SYSLOG_HOST,
        config.AUDIT_SYSLOG_PORT,
        config.AUDIT_SYSLOG_CA,
        config.AUDIT_SYSLOG_CERT,
        config.AUDIT_SYSLOG_KEY,
    )


def deliver(to: Receiver) -> int:
    """Send what the receiver does not have yet; return how many rows went.

    The cursor moves only after a batch went: a receiver that is away gets all once it is back, and
    one that broke off in the middle gets some rows twice rather than not at all.
    """
    target, _ = AuditTarget.objects.get_or_create(name=SYSLOG)
    sent = 0
    for _batch in range(MOST_BATCHES):
        rows = list(AuditEvent.objects.filter(id__gt=target.row).order_by("id")[:ROWS_AT_ONCE])
        if not rows:
            break
        try:
            to.send(syslog_message(row.at, message_of(row)) for row in rows)
        except OSError as error:  # of the network, of TLS, of a certificate's file
            _failed(str(error))
            break
        target.row = rows[-1].id
        AuditTarget.objects.filter(name=SYSLOG).update(
            row=target.row, at=timezone.now(), problem=""
        )
        sent += len(rows)
    return sent


def _failed(why: str) -> None:
    LOG.warning("audit messages not sent: %s", why)
    AuditTarget.objects.filter(name=SYSLOG).update(problem=why[:300])
