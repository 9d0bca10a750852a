"""Who was sent a study before a moment: by C-STORE, C-MOVE or C-GET, as audit and queue tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Max, Min, Q

from dicom_node.audit import reading
from dicom_node.models import Forward, Instance
from dicom_node.store.layout import Layout

PAGE_RECORDS, MOST_PAGES = 1000, 50


class _Sent(NamedTuple):
    destination: str
    operation: str
    at: datetime
    instances: int


@dataclass
class _Receiver:
    operations: set[str] = field(default_factory=set)
    last_at: datetime | None = None
    instances: int = 0
    since_at: datetime | None = None


def of(layout: Layout, study_uid: str, before: datetime) -> list[dict[str, Any]]:
    """Return who was sent a study before `before`, and when they were sent it since.

    What the audit keeps no more (PACS_AUDIT_DAYS) is not known any more.
    """
    found: dict[str, _Receiver] = {}
    for sent in (*_forwarded(study_uid, before), *_audited(layout, study_uid)):
        one = found.setdefault(sent.destination, _Receiver())
        if sent.at >= before:
            one.since_at = max(one.since_at or sent.at, sent.at)
        else:
            one.operations.add(sent.operation)
            one.last_at = max(one.last_at or sent.at, sent.at)
            one.instances = max(one.instances, sent.instances)
    waiting = set(
        Forward.objects.filter(study_uid=study_uid, state__in=("waiting", "sending")).values_list(
            "destination", flat=True
        )
    )
    return [
        {
            "destination": title,
            "operations": sorted(one.operations),
            "last_at": one.last_at.isoformat(),
            "instances": one.instances,
            "sent_since_at": one.since_at.isoformat() if one.since_at else None,
            "is_waiting": title in waiting,
        }
        for title, one in sorted(found.items())
        if one.last_at is not None
    ]


def _forwarded(study_uid: str, before: datetime) -> Iterator[_Sent]:
    rows = Forward.objects.filter(study_uid=study_uid, state=Forward.State.SENT)
    for is_since in (False, True):
        some = rows.filter(Q(settled_at__gte=before) if is_since else Q(settled_at__lt=before))
        grouped = some.values("destination").annotate(at=Max("settled_at"), count=Count("id"))
        for row in grouped.order_by():
            yield _Sent(row["destination"], "C-STORE", row["at"], row["count"])


def _audited(layout: Layout, study_uid: str) -> Iterator[_Sent]:
    arrivals = Instance.every.filter(series__study__uid=study_uid)
    first = arrivals.aggregate(at=Min("arrived_at"))["at"]
    since = first.isoformat(timespec="milliseconds") if first else ""
    before = ""
    for _ in range(MOST_PAGES):
        page = reading.page(
            layout.audit, since=since, kind="sent", limit=PAGE_RECORDS, before=before
        )
        for record in page.records:
            count = _count_in(record, study_uid)
            if count:
                # our own sending names the address too: "AE at host:port"
                title = str(record.get("destination", "")).partition(" at ")[0]
                operation = str(record.get("operation", ""))
                yield _Sent(title, operation, datetime.fromisoformat(record["at"]), count)
        if page.next is None:
            return
        before = page.next


def _count_in(record: dict[str, Any], study_uid: str) -> int:
    studies = record.get("studies")
    count = studies.get(study_uid) if isinstance(studies, dict) else 0
    return count if isinstance(count, int) else 0
