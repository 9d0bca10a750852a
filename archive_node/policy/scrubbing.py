"""When each volume is read again, and who has waited for too long."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Min
from django.db.models.functions import Coalesce
from django.utils import timezone

from archive_node import alarms, library
from archive_node.jobs import dispatch
from archive_node.models import Alarm, Copy, Job
from archive_node.steps.whereabouts import Place, Readiness, Whereabouts
from pacs_common.sentences import say

KIND = "scrub-overdue"
SCHEDULE = "schedule"
REST = timedelta(days=1)  # a volume whose scrub failed is tried again no sooner
OVERDUE = 1.25  # times PACS_SCRUB_DAYS
_SCRUBBED = {Readiness.MOUNTED, Readiness.IN_LIBRARY}  # without a person, at no cost of a store


def request_due(now: datetime | None = None) -> list[Job]:
    """Ask for the scrub of the volume of each vault that was not read for longest, if it is due.

    One at a time in each vault. Volumes on the shelf, in cold storage and suspect ones are not
    asked for; where anything was not read for far too long, whatever its volume, the alarm
    `scrub-overdue` says so, and ends once it was.
    """
    now = now or timezone.now()
    days = settings.ARCHIVE.scrub_days
    read_at = _last_read() if days else {}
    _tell_overdue(read_at, now - timedelta(days=days * OVERDUE))
    due = {place: at for place, at in read_at.items() if at <= now - timedelta(days=days)}
    where = Whereabouts()
    ready = {place: at for place, at in due.items() if where.readiness(place) in _SCRUBBED}
    return [
        dispatch.request_for_volume(Job.Kind.SCRUB, place.vault, place.label, SCHEDULE)[0]
        for vault in library.specs()
        if (place := _next_in(vault, ready, now)) is not None
    ]


def _last_read() -> dict[Place, datetime]:
    """Return when the copy of each volume that was not read for longest was read whole."""
    good = Copy.objects.filter(bad_since=None, verified_at__isnull=False)
    rows = good.values_list("vault", "volume").annotate(
        at=Min(Coalesce("scrubbed_at", "verified_at"))
    )
    return {Place(vault, volume): at for vault, volume, at in rows}


def _next_in(vault: str, ready: dict[Place, datetime], now: datetime) -> Place | None:
    scrubs = Job.objects.filter(kind=Job.Kind.SCRUB, vault=vault)
    if scrubs.filter(state__in=Job.OPEN).exists():
        return None
    failed = scrubs.filter(state=Job.State.FAILED, updated_at__gt=now - REST)
    resting = set(failed.values_list("volume", flat=True))
    places = [p for p in ready if p.vault == vault and p.label not in resting]
    return min(places, key=lambda place: (ready[place], place), default=None)


def _tell_overdue(read_at: dict[Place, datetime], since: datetime) -> None:
    lasting = Alarm.objects.filter(kind=KIND, ended_at=None)
    over = set(lasting.values_list("subject", flat=True))
    for place, at in read_at.items():
        subject = f"{place.vault}/{place.label}"
        if at <= since:
            text = say("scrub-overdue", volume=place.label, vault=place.vault, read_on=at)
            alarms.raise_alarm(KIND, subject, Alarm.Level.WARNING, text)
            over.discard(subject)
    for subject in over:
        alarms.end_alarm(KIND, subject)
