"""Volumes, and the copies that lie on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min
from django.http import HttpRequest, JsonResponse

from archive_node import library
from archive_node.api import holds
from archive_node.api.guard import ticketed
from archive_node.api.jobs import as_json
from archive_node.models import Copy, Job
from archive_node.vault.base import Vault
from pacs_common.tickets import Ticket
from pacs_common.uids import Uid


@ticketed(GET="archive.read")
def volumes(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List the volumes of all vaults that answer, by vault and label."""
    found, missing = library.answering()
    listed = [row for vault in found for row in _listed(vault)]
    return JsonResponse({"volumes": listed, "missing": missing})


def _listed(vault: Vault) -> Iterator[dict[str, Any]]:
    written = {
        row["volume"]: row
        for row in Copy.objects.filter(vault=vault.name)
        .values("volume")
        .annotate(copies=Count("id"), first=Min("written_at"), last=Max("written_at"))
    }
    for volume in vault.volumes():
        row: dict[str, Any] = written.get(volume.label, {})
        yield {
            "label": volume.label,
            "vault": vault.name,
            "state": volume.state,
            "used_bytes": volume.used_bytes,
            "capacity_bytes": volume.capacity_bytes,
            "copies": row.get("copies", 0),
            "first_written_at": _iso(row.get("first")),
            "last_written_at": _iso(row.get("last")),
            "drive": volume.drive,
            "slot": volume.slot,
        }


@ticketed(GET="archive.read")
def study(request: HttpRequest, ticket: Ticket, study_uid: str) -> JsonResponse:
    """Show a study's copies and jobs (none where the archive does not know it)."""
    uid = Uid.parse(study_uid, "study UID")
    copies = Copy.objects.filter(study_uid=uid).order_by("written_at", "id")
    jobs = Job.objects.filter(study_uid=uid).order_by("-id")[:100]
    return JsonResponse(
        {
            "study_uid": uid,
            "copies": [_copy(copy) for copy in copies],
            "holds": holds.of_study(uid),
            "jobs": [as_json(job) for job in jobs],
        }
    )


def _copy(copy: Copy) -> dict[str, Any]:
    return {
        "node": copy.node,
        "vault": copy.vault,
        "volume": copy.volume,
        "member": copy.member,
        "revision": copy.revision,
        "instances": copy.instances,
        "size_bytes": copy.size_bytes,
        "written_at": _iso(copy.written_at),
        "verified_at": _iso(copy.verified_at),
        "problem": copy.problem,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
