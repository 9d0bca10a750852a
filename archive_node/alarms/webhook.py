"""Alarms by webhook: each a JSON POST, signed where a key is set."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from archive_node.models import Alarm
from pacs_common.http import HttpClient

SIGNATURE = "X-Argens-Signature"
TIMEOUT_S = 10.0


def send(alarms: Sequence[Alarm]) -> None:
    """Post each alarm; raises the error that the other end answers, or PeerUnreachable."""
    address = urlsplit(settings.ARCHIVE.alarm_webhook)
    client = HttpClient(
        f"{address.scheme}://{address.netloc}", name="the webhook", read_s=TIMEOUT_S
    )
    try:
        for alarm in alarms:
            _post(client, address.path or "/", address.query, alarm)
    finally:
        client.close()


def as_json(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as docs/interfaces.md shows it."""
    return {
        "id": alarm.id,
        "kind": alarm.kind,
        "subject": alarm.subject,
        "level": alarm.level,
        "text": alarm.text,
        "began_at": alarm.began_at.isoformat(),
        "seen_at": alarm.seen_at.isoformat(),
        "ended_at": _iso(alarm.ended_at),
        "acknowledged_at": _iso(alarm.acknowledged_at),
        "acknowledged_by": alarm.acknowledged_by,
    }


def _post(client: HttpClient, path: str, query: str, alarm: Alarm) -> None:
    event = "ended" if alarm.ended_at else "began"
    body = json.dumps({"event": event, "alarm": as_json(alarm)}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    secret = settings.ARCHIVE.alarm_webhook_secret
    if secret:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={digest}"
    where = f"{path}?{query}" if query else path
    with client.stream("POST", where, headers=headers, content=[body]):
        pass  # taken: what it says does not matter


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
