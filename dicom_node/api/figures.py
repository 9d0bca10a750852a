"""How the node is, for Prometheus: what can be looked up now, beside what it counted at work."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client.core import GaugeMetricFamily

from dicom_node import measures, peers
from dicom_node.api import chores, dicom_tls, forwarding, health
from dicom_node.arrivals import rate
from dicom_node.config import CONFIG
from dicom_node.sealed import account as sealed
from dicom_node.store import chores_lock
from dicom_node.store.layout import Layout
from pacs_common import VERSION
from pacs_common.measures import kept_backups, shared_files

LOG = logging.getLogger(__name__)
Families = Iterable[GaugeMetricFamily]


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer all that the node's processes counted, and how it is at this moment."""
    return HttpResponse(shared_files.told([Figures()]), content_type=shared_files.CONTENT_TYPE)


measures.begin()


class Figures:
    """Looked up when asked; an index that is away costs its own figures and no others."""

    def collect(self) -> Families:
        """Yield the gauges."""
        yield _one("argens_node_info", "Version.", 1, version=VERSION)
        yield from kept_backups.gauges(CONFIG.data_dir)
        yield from _certificate()
        yield _seal_broken()
        yield _one("argens_node_chores_running", "Whether the chores' process lives.", _chores())
        index_answers = True
        for family in (_objects, _disk, _queues, _problems):
            try:
                yield from list(family())
            except DatabaseError as error:
                LOG.warning("no figures: the index does not answer: %s", error)
                index_answers = False
        yield _one("argens_node_index_up", "Whether the index answers.", index_answers)


def _objects() -> Families:
    objects = GaugeMetricFamily("argens_node_objects", "Objects by kind.", labels=["kind"])
    for kind, number in health.counts().items():
        objects.add_metric([kind], number)
    yield objects


def _disk() -> Families:
    disk = GaugeMetricFamily("argens_node_disk_bytes", "Disk by use.", labels=["use"])
    use = health.disk_use()
    for name, size in use.items():
        disk.add_metric([name.removesuffix("_bytes")], size)
    yield disk
    a_day = rate.account()["bytes_a_day"]
    left = max(0, use["free_bytes"] - use["reserve_bytes"])
    told = "Time until only the reserve is left, if each day brings what the last week did."
    full_in_s = left / a_day * 86_400 if a_day > 0 else math.inf
    yield _one("argens_node_disk_full_in_seconds", told, full_in_s)
    single = health.SINGLE.count()
    if single is not None:
        yield _one("argens_node_single_copy_studies", "Studies that exist once.", single)


def _queues() -> Families:
    waiting = GaugeMetricFamily("argens_node_queue_waiting", "What waits.", labels=["queue"])
    failing = GaugeMetricFamily(
        "argens_node_queue_failing", "What is tried in vain, or was given up.", labels=["queue"]
    )
    oldest = GaugeMetricFamily(
        "argens_node_queue_oldest_seconds", "For how long the oldest waits.", labels=["queue"]
    )
    for queue in chores.queues():
        waiting.add_metric([queue["name"]], queue["waiting"])
        failing.add_metric([queue["name"]], queue["failing"])
        since = datetime.fromisoformat(queue["since"]) if queue["since"] else None
        age_s = (datetime.now(UTC) - since).total_seconds() if since else 0
        oldest.add_metric([queue["name"]], max(0.0, age_s))
    yield from (waiting, failing, oldest)


def _problems() -> Families:
    found = [*filter(None, [peers.current().problem]), *forwarding.problems()]
    yield _one("argens_node_problems", "What needs a person, as /api/node says.", len(found))


def _certificate() -> Iterator[GaugeMetricFamily]:
    shown: dict[str, Any] | None = dicom_tls.certificate()
    if shown is not None:
        ends_at = datetime.fromisoformat(shown["not_after"]).timestamp()
        told = "When the certificate of DICOM over TLS ends."
        yield _one("argens_node_certificate_end_timestamp_seconds", told, ends_at)


def _seal_broken() -> GaugeMetricFamily:
    seal = sealed.seal(Layout(CONFIG.data_dir))
    told = "Whether the emergency account was used since it was sealed."
    return _one("argens_node_rescue_seal_broken", told, seal is not None and seal.is_broken)


def _chores() -> bool:
    return chores_lock.is_held(Layout(CONFIG.data_dir))


def _one(name: str, told: str, value: float, **labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, told, labels=list(labels))
    family.add_metric(list(labels.values()), float(value))
    return family
