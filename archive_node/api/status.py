"""How the archive is, for the portal: vaults, jobs, nodes, policy, what must be looked at."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from archive_node import library, nodes
from archive_node.api.guard import ticketed
from archive_node.models import Alarm, EvictionList, Job, MountRequest, NodeState
from archive_node.policy.decided import policy_of
from archive_node.policy.forecast import full_at
from archive_node.vault.base import Vault, VolumeState
from pacs_common import VERSION
from pacs_common.tickets import Ticket

AMOUNTS = ("evictable_bytes", "unproven_bytes", "held_bytes")


@ticketed(GET="archive.read")
def status(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Show vaults, job counts, nodes as last seen, the settings' policy, and open questions."""
    found, missing = library.answering()
    policy = policy_of()
    return JsonResponse(
        {
            "name": "archive",
            "version": VERSION,
            "vaults": [*map(_vault_account, found), *map(_missing, missing.items())],
            "jobs": job_counts(),
            "nodes": [node_as_json(name) for name in nodes.names()],
            "policy": {
                "quiet_s": policy.quiet_s,
                "evict_after_days": policy.evict_after_days,
                "high_watermark": policy.high_watermark,
                "low_watermark": policy.low_watermark,
            },
            "alarms": open_alarms(),
            "mount_requests": MountRequest.objects.filter(ended_at=None).count(),
            "eviction_lists": EvictionList.objects.filter(
                state=EvictionList.State.PROPOSED
            ).count(),
        }
    )


def node_as_json(name: str) -> dict[str, Any]:
    """Return a node as last scanned, its policy, and what of it may go; sizes in bytes."""
    state = NodeState.objects.filter(name=name).first() or NodeState(name=name)
    policy = policy_of(name)
    until = full_at(state.disk, state.arrivals, timezone.now())
    return {
        "name": name,
        "reachable": state.reachable,
        "last_scan_at": state.last_scan_at.isoformat() if state.last_scan_at else None,
        "error": state.error,
        "studies": state.studies,
        "disk": state.disk,
        "high_watermark": policy.high_watermark,
        "low_watermark": policy.low_watermark,
        "least_age_days": policy.least_age_days,
        "approval": policy.approval,
        **{amount: state.amounts.get(amount, 0) for amount in AMOUNTS},
        "full_at": until.isoformat() if until else None,
    }


def job_counts() -> dict[str, int]:
    """Return how many jobs are in each state."""
    counted = Job.objects.values("state").annotate(number=Count("id"))
    return dict.fromkeys(Job.State.values, 0) | {row["state"]: row["number"] for row in counted}


def open_alarms() -> dict[str, int]:
    """Return how many alarms last, by their level."""
    counted = Alarm.objects.filter(ended_at=None).values("level").annotate(number=Count("id"))
    return dict.fromkeys(Alarm.Level.values, 0) | {row["level"]: row["number"] for row in counted}


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
        "shelf": sum(volume.state == VolumeState.EXPORTED for volume in volumes),
        "problem": "",
    }


def _missing(name_and_why: tuple[str, str]) -> dict[str, Any]:
    name, why = name_and_why
    spec = library.specs()[name]
    empty = dict.fromkeys(("drives", "volumes", "used_bytes", "capacity_bytes", "shelf"), 0)
    about = {"name": name, "kind": spec.kind, "required": spec.is_required}
    return about | empty | {"problem": why}
