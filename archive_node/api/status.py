"""How the archive is: for the portal (with a ticket), for monitors (without)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from archive_node import library, nodes
from archive_node.api.guard import monitored, ticketed
from archive_node.models import Copy, Job, NodeState
from archive_node.policy.scan import current_policy
from archive_node.vault.base import Vault
from pacs_common import VERSION
from pacs_common.tickets import Ticket


@ticketed(GET="archive.read")
def status(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Show vaults, job counts, nodes as last seen, and the policy in force."""
    found, missing = library.answering()
    return JsonResponse(
        {
            "name": "archive",
            "version": VERSION,
            "vaults": [*map(_vault_account, found), *map(_missing, missing.items())],
            "jobs": _job_counts(),
            "nodes": [_node(name) for name in nodes.names()],
            "policy": dataclasses.asdict(current_policy()),
        }
    )


def _vault_account(vault: Vault) -> dict[str, Any]:
    volumes = vault.volumes()
    return {
        "name": vault.name,
        "kind": vault.kind,
        "required": vault.name in library.required(),
        "drives": vault.drives,
        "volumes": len(volumes),
        "used_bytes": sum(volume.used_bytes for volume in volumes),
        "capacity_bytes": sum(volume.capacity_bytes for volume in volumes),
        "problem": "",
    }


def _missing(name_and_why: tuple[str, str]) -> dict[str, Any]:
    name, why = name_and_why
    spec = library.specs()[name]
    return {
        "name": name,
        "kind": spec.kind,
        "required": spec.is_required,
        "drives": 0,
        "volumes": 0,
        "used_bytes": 0,
        "capacity_bytes": 0,
        "problem": why,
    }


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


def _job_counts() -> dict[str, int]:
    counted = Job.objects.values("state").annotate(number=Count("id"))
    return dict.fromkeys(Job.State.values, 0) | {row["state"]: row["number"] for row in counted}


def _node(name: str) -> dict[str, Any]:
    state = NodeState.objects.filter(name=name).first() or NodeState(name=name)
    return {
        "name": name,
        "reachable": state.reachable,
        "last_scan_at": state.last_scan_at.isoformat() if state.last_scan_at else None,
        "error": state.error,
        "studies": state.studies,
        "disk": state.disk,
    }


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
        for state, number in _job_counts().items():
            jobs.add_metric([state], number)
        yield jobs
        reachable = GaugeMetricFamily(
            "argens_archive_node_reachable", "Whether the last scan was answered.", labels=["node"]
        )
        for name in nodes.names():
            reachable.add_metric([name], float(_node(name)["reachable"]))
        yield reachable
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
