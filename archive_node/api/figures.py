"""How the archive is, for Prometheus: what the database knows, beside what the workers counted."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Min, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily

from archive_node import library, measures, nodes
from archive_node.api.guard import monitored
from archive_node.api.status import open_alarms
from archive_node.models import Copy, EvictionList, Job, MountRequest, NodeState
from archive_node.policy.forecast import full_at
from archive_node.vault.base import Vault, VolumeState
from pacs_common import VERSION
from pacs_common.measures import kept_backups, shared_files

LOG = logging.getLogger(__name__)
Families = Iterable[GaugeMetricFamily]


@monitored
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer all that the archive's processes counted, and how it is at this moment."""
    return HttpResponse(shared_files.told([Figures()]), content_type=shared_files.CONTENT_TYPE)


measures.begin(Job.Kind.values)


class Figures:
    """Looked up when asked; a database that is away costs its own figures and no others."""

    def collect(self) -> Families:
        """Yield the gauges."""
        config = settings.ARCHIVE
        info = _family("argens_archive_info", "Version.", "version")
        info.add_metric([VERSION], 1)
        yield info
        yield from kept_backups.gauges(config.data_dir)
        yield from _disk()
        answers = True
        for family in (_jobs, _nodes, _alarms, _copies, _vaults, _questions):
            try:
                yield from list(family())
            except DatabaseError as error:
                LOG.warning("no figures: the database does not answer: %s", error)
                answers = False
        told = "Whether the database answers."
        yield GaugeMetricFamily("argens_archive_database_up", told, value=float(answers))


def _disk() -> Families:
    disk = _family("argens_archive_disk_bytes", "The disk of the data folder, by use.", "use")
    try:
        found = os.statvfs(settings.ARCHIVE.data_dir)
    except OSError:
        return
    disk.add_metric(["total"], found.f_blocks * found.f_frsize)
    disk.add_metric(["free"], found.f_bavail * found.f_frsize)
    yield disk


def _jobs() -> Families:
    counted = Job.objects.values("kind", "state").annotate(number=Count("id")).order_by()
    number = {(row["kind"], row["state"]): row["number"] for row in counted}
    jobs = _family("argens_archive_jobs", "Jobs by kind and state.", "kind", "state")
    for kind in Job.Kind.values:
        for state in Job.State.values:
            jobs.add_metric([kind, state], number.get((kind, state), 0))
    yield jobs
    oldest = _family("argens_archive_job_oldest_seconds", "Age of the oldest open job.", "kind")
    rows = Job.objects.filter(state__in=Job.OPEN).values("kind").annotate(at=Min("created_at"))
    began = {row["kind"]: row["at"] for row in rows.order_by()}
    for kind in Job.Kind.values:
        age = timezone.now() - began[kind] if kind in began else None
        oldest.add_metric([kind], max(0.0, age.total_seconds()) if age else 0)
    yield oldest


def _nodes() -> Families:
    reachable = _family(
        "argens_archive_node_reachable", "Whether the last scan was answered.", "node"
    )
    scanned = _family(
        "argens_archive_node_scan_timestamp_seconds", "When a node was last scanned.", "node"
    )
    full = _family(
        "argens_archive_node_full_timestamp_seconds", "When a node's disk will be full.", "node"
    )
    states = {state.name: state for state in NodeState.objects.all()}
    for name in nodes.names():
        state = states.get(name)
        reachable.add_metric([name], float(state is not None and state.reachable))
        if state is None:
            continue
        if state.last_scan_at is not None:
            scanned.add_metric([name], state.last_scan_at.timestamp())
        until = full_at(state.disk, state.arrivals, timezone.now())
        if until is not None:
            full.add_metric([name], until.timestamp())
    yield from (reachable, scanned, full)


def _alarms() -> Families:
    alarms = _family("argens_archive_alarms", "Alarms.", "level")
    for level, number in open_alarms().items():
        alarms.add_metric([level], number)
    yield alarms


def _copies() -> Families:
    counted = {
        "verified": Copy.objects.filter(verified_at__isnull=False),
        "unverified": Copy.objects.filter(verified_at=None, bad_since=None),
        "bad": Copy.objects.filter(bad_since__isnull=False),
    }
    number = _family("argens_archive_copies", "Copies.", "proof")
    size = _family("argens_archive_copy_bytes", "Bytes of copies.", "proof")
    for proof, copies in counted.items():
        number.add_metric([proof], copies.count())
        size.add_metric([proof], copies.aggregate(sum=Sum("size_bytes"))["sum"] or 0)
    yield from (number, size)


def _vaults() -> Families:
    found, missing = library.answering()
    answers = _family("argens_archive_vault_up", "Whether a vault answers.", "vault")
    used = _family("argens_archive_vault_bytes", "Bytes of a vault's volumes.", "vault", "use")
    volumes = _family("argens_archive_volumes", "Volumes by state.", "vault", "state")
    for vault in found:
        answers.add_metric([vault.name], 1)
        _add_volumes(vault, used, volumes)
    for name in missing:
        answers.add_metric([name], 0)
    yield from (answers, used, volumes)


def _add_volumes(vault: Vault, used: GaugeMetricFamily, volumes: GaugeMetricFamily) -> None:
    found = vault.volumes()
    used.add_metric([vault.name, "used"], sum(volume.used_bytes for volume in found))
    used.add_metric([vault.name, "capacity"], sum(volume.capacity_bytes for volume in found))
    for state in VolumeState:
        number = sum(volume.state == state for volume in found)
        volumes.add_metric([vault.name, str(state.value)], number)


def _questions() -> Families:
    """What waits for a person."""
    asked = _family("argens_archive_waiting_for_people", "What waits for a person.", "what")
    asked.add_metric(["mount"], MountRequest.objects.filter(ended_at=None).count())
    proposed = EvictionList.objects.filter(state=EvictionList.State.PROPOSED)
    asked.add_metric(["eviction-list"], proposed.count())
    yield asked


def _family(name: str, told: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, labels=labels)
