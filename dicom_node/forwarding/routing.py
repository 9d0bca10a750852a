"""Each arrival meets the rules once: its forwards and its mark are one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from dicom_node.forwarding.rules import Facts, Rule
from dicom_node.models import Forward, Instance
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common import kept_files
from pacs_common.errors import ArgensError

BATCH_INSTANCES = 500
# A rebuilt index brings old arrivals as new rows: what is older than this before the last
# arrival that waited for the rules has met them, and is not sent out again.
SLACK = timedelta(hours=24)


def waits() -> bool:
    """Whether an arrival has not met the rules yet."""
    return Instance.objects.filter(routed=False).exists()


def route(rules: Sequence[Rule], zone: ZoneInfo, layout: Layout) -> int:
    """Let some arrivals meet the rules and return how many; 0 when none waits.

    A process that is killed leaves an arrival with its forwards and its mark, or with neither.
    """
    waiting = Instance.objects.filter(routed=False).select_related("series__study")
    found = list(waiting.order_by("id")[:BATCH_INSTANCES])
    since = routed_until(layout) if found else None
    now = timezone.now()
    forwards = [
        _forward(instance, rule, now)
        for instance in found
        if since is None or instance.arrived_at >= since
        for rule in _rules_for(instance, rules, zone, layout)
    ]
    with transaction.atomic():
        unmarked = Instance.objects.filter(id__in=[i.id for i in found], routed=False)
        if unmarked.update(routed=True) != len(found):
            transaction.set_rollback(True)  # another process was here
            return 0
        Forward.objects.bulk_create(forwards, ignore_conflicts=True)
        _put_off({(f.rule, f.study_uid, f.due_at) for f in forwards if f.due_at > now})
    return len(found)


def routed_until(layout: Layout) -> datetime | None:
    """Return the moment before which every arrival has met the rules, None where none is known.

    It is never within the slack: a clock that was ahead when it was noted must not keep what
    arrives now from the rules.
    """
    noted = _noted(layout)
    return None if noted is None else min(noted, timezone.now() - SLACK)


def _noted(layout: Layout) -> datetime | None:
    try:
        return datetime.fromisoformat(layout.routed_until.read_text()).astimezone(UTC)
    except (OSError, ValueError):
        return None


def note_routed(layout: Layout) -> None:
    """Write down, durably, up to when all arrivals have met the rules and left."""
    now = timezone.now()
    open_states = (Forward.State.WAITING, Forward.State.SENDING)
    oldest = [
        Instance.objects.filter(routed=False).aggregate(at=Min("arrived_at"))["at"],
        Forward.objects.filter(state__in=open_states).aggregate(at=Min("created_at"))["at"],
        now,
    ]
    until = min(moment for moment in oldest if moment is not None) - SLACK
    noted = _noted(layout)
    if noted is None or until > noted or noted > now - SLACK:
        kept_files.replace(layout.routed_until, until.isoformat().encode(), 0o640)


def _rules_for(
    instance: Instance, rules: Sequence[Rule], zone: ZoneInfo, layout: Layout
) -> list[Rule]:
    if not rules:
        return []
    series = instance.series
    facts = Facts(
        source_ae=instance.source_ae,
        called_ae=_called_ae(instance, layout) if any(rule.called_ae for rule in rules) else "",
        modality=series.modality,
        description=series.study.description,
        arrived_at=instance.arrived_at.astimezone(zone),
    )
    return [rule for rule in rules if rule.takes(facts)]


def _called_ae(instance: Instance, layout: Layout) -> str:
    """Return the AE title that the sender called, which only the file knows."""
    try:
        header = part10.read_header(layout.object(instance.hour, instance.uid))
    except (ArgensError, OSError):
        return ""
    return part10.provenance(header.file_meta, instance.arrived_at).called_ae


def _forward(instance: Instance, rule: Rule, now: datetime) -> Forward:
    return Forward(
        uid=instance.uid,
        study_uid=instance.series.study.uid,
        destination=rule.destination,
        rule=rule.name,
        requested_by="rule",
        priority=rule.priority,
        due_at=now + timedelta(seconds=rule.quiet_s),
        wants_commitment=rule.commit,
    )


def _put_off(quiet: set[tuple[str, str, datetime]]) -> None:
    """A study that grows is not quiet: what waits of it waits on."""
    for rule, study_uid, due_at in quiet:
        waiting = Forward.objects.filter(
            rule=rule, study_uid=study_uid, state=Forward.State.WAITING, attempts=0
        )
        waiting.update(due_at=due_at)
