"""What the node does by itself and what waits for it: `/api/chores`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, F, Min, Q, QuerySet
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.models import Commitment, Forward, Instance, Preparation, Study
from dicom_node.store import chores_lock
from dicom_node.store.layout import Layout

MOST_COUNTED = 10_000  # what waits beyond it is told as that many


@require_GET
@allowed("status")
def overview(request: HttpRequest) -> JsonResponse:
    """Answer each kind of work: what waits, since when, what fails again and again."""
    return JsonResponse(
        {
            "running": chores_lock.is_held(Layout(CONFIG.data_dir)),
            "chores": queues(),
        }
    )


def queues() -> list[dict[str, Any]]:
    """Return what waits for each kind of work."""
    return [_digests(), _renditions(), _forwarding(), _commitment()]


def _digests() -> dict[str, Any]:
    waiting = Instance.every.filter(stored_sha256="", damaged=False)
    hour = waiting.aggregate(first=Min("hour"))["first"]
    since = datetime.strptime(hour, "%Y/%m/%d/%H").replace(tzinfo=UTC) if hour else None
    return _told("digests", _few(waiting), since)


def _renditions() -> dict[str, Any]:
    waiting = Study.objects.filter(prepared_revision__lt=F("revision"))
    since = waiting.aggregate(first=Min("last_arrival_at"))["first"]
    failing = Preparation.objects.filter(
        attempts__gt=0, revision=F("study__revision"), study__prepared_revision__lt=F("revision")
    )
    return _told("renditions", _few(waiting), since, _few(failing))


def _forwarding() -> dict[str, Any]:
    open_ones = Q(state__in=(Forward.State.WAITING, Forward.State.SENDING))
    counted = Forward.objects.aggregate(
        waiting=Count("id", filter=open_ones),
        since=Min("created_at", filter=open_ones),
        failing=Count("id", filter=Q(state=Forward.State.GIVEN_UP)),
    )
    return _told("forwarding", counted["waiting"], counted["since"], counted["failing"])


def _commitment() -> dict[str, Any]:
    counted = Commitment.objects.aggregate(
        waiting=Count("id", filter=Q(settled_at=None)),
        since=Min("asked_at", filter=Q(settled_at=None)),
        failing=Count("id", filter=Q(state=Commitment.State.GIVEN_UP)),
    )
    return _told("commitment", counted["waiting"], counted["since"], counted["failing"])


def _few(rows: QuerySet[Any]) -> int:
    return rows[:MOST_COUNTED].count()


def _told(name: str, waiting: int, since: datetime | None, failing: int = 0) -> dict[str, Any]:
    at = since.isoformat() if since and waiting else None
    return {"name": name, "waiting": waiting, "since": at, "failing": failing}
