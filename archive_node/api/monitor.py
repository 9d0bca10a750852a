"""How the archive is, for monitors: no ticket is asked for, and nothing tells of patients."""

from __future__ import annotations

import os
from collections.abc import Iterable

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from archive_node import library, nodes
from archive_node.api.guard import monitored
from archive_node.api.status import job_counts, open_alarms
from archive_node.models import Copy, Job, NodeState


@monitored
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that the process lives."""
    return JsonResponse({"status": "ok"})


@monitored
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether the archive can work, and why not."""
    checks = {"database": _database, "vault": _vault, "broker": _broker}
    reasons = {name: reason for name, check in checks.items() if (reason := check())}
    word = "not ready" if reasons else "ready"
    return JsonResponse({"status": word, "reasons": reasons}, status=503 if reasons else 200)


@monitored
def metrics(request: HttpRequest) -> HttpResponse:
    """Show gauges, computed from the database at this moment (any process gives the same)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Gauges())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _database() -> str:
    try:
        connection.ensure_connection()
        Job.objects.exists()
    except DatabaseError as error:
        return f"the database does not answer: {error}"
    return ""


def _vault() -> str:
    try:
        _, missing = library.answering()
    except DatabaseError:
        return "the database does not say which vaults there are"
    return "; ".join(f"{name}: {why}" for name, why in missing.items())


def _broker() -> str:
    config = settings.ARCHIVE
    if not config.broker_url.startswith("filesystem"):
        return ""
    messages = config.broker_dir / "messages"
    return "" if os.access(messages, os.W_OK | os.X_OK) else f"{messages} is not writable"


class _Gauges:
    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges."""
        jobs = GaugeMetricFamily("argens_archive_jobs", "Jobs by state.", labels=["state"])
        for state, number in job_counts().items():
            jobs.add_metric([state], number)
        yield jobs
        reachable = GaugeMetricFamily(
            "argens_archive_node_reachable", "Whether the last scan was answered.", labels=["node"]
        )
        answering = set(NodeState.objects.filter(reachable=True).values_list("name", flat=True))
        for name in nodes.names():
            reachable.add_metric([name], float(name in answering))
        yield reachable
        alarms = GaugeMetricFamily("argens_archive_alarms", "Alarms.", labels=["level"])
        for level, number in open_alarms().items():
            alarms.add_metric([level], number)
        yield alarms
        yield from self._copies()

    def _copies(self) -> Iterable[GaugeMetricFamily]:
        counted = {
            "verified": Copy.objects.filter(verified_at__isnull=False),
            "unverified": Copy.objects.filter(verified_at=None, bad_since=None),
            "bad": Copy.objects.filter(bad_since__isnull=False),
        }
        number = GaugeMetricFamily("argens_archive_copies", "Copies.", labels=["proof"])
        size = GaugeMetricFamily("argens_archive_copy_bytes", "Bytes of copies.", labels=["proof"])
        for proof, copies in counted.items():
            number.add_metric([proof], copies.count())
            size.add_metric([proof], copies.aggregate(sum=Sum("size_bytes"))["sum"] or 0)
        yield number
        yield size
