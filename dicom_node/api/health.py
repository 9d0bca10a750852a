"""Is the node alive, is it ready, how is it: `/healthz`, `/readyz`, `/api/node`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError
from django.db.models import Max, Sum
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from dicom_node import peers
from dicom_node.api import dicom_tls, forwarding
from dicom_node.api.dicom_port import is_listening
from dicom_node.api.guard import allowed
from dicom_node.arrivals import rate
from dicom_node.commitment.single_copies import SingleCopies
from dicom_node.config import CONFIG
from dicom_node.custody import replacing
from dicom_node.models import Instance, NonPatientObject, Quarantined, Series, Study
from dicom_node.prepared import saving
from dicom_node.sealed import account as sealed
from dicom_node.store.blobs import require_space
from dicom_node.store.journal import Journal
from dicom_node.store.layout import Layout
from pacs_common import VERSION
from pacs_common.errors import ArgensError

STARTED_AT = datetime.now(UTC)
SINGLE = SingleCopies(Journal(Layout(CONFIG.data_dir).journal))


@require_GET
def alive(request: HttpRequest) -> JsonResponse:
    """Answer as long as the process serves."""
    return JsonResponse({"status": "alive"})


@require_GET
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 where the node can take, find and serve images; else 503 with the reasons."""
    reasons = [reason for check in (_index, _disk, _dicom, _dicom_tls) if (reason := check())]
    return JsonResponse({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


@require_GET
@allowed("status")
def account(request: HttpRequest) -> JsonResponse:
    """Answer the node's own account of itself."""
    latest = Study.objects.aggregate(at=Max("last_arrival_at"))["at"]
    return JsonResponse(
        {
            "name": CONFIG.name,
            "ae_title": CONFIG.ae_title,
            "version": VERSION,
            "dicom_port": CONFIG.dicom_port,
            "dicom_tls": dicom_tls.certificate(),
            "default_issuer": CONFIG.default_issuer,
            "started_at": STARTED_AT.isoformat(),
            "last_arrival_at": latest.isoformat() if latest else None,
            "disk": disk_use(),
            "counts": counts(),
            "arrivals": rate.account(),
            "single_copy_studies": SINGLE.count(),
            "renditions": saving.account(),
            "rescue": _rescue(),
            "take_over": replacing.under_way(Layout(CONFIG.data_dir)),
            "problems": [*filter(None, [peers.current().problem]), *forwarding.problems()],
        }
    )


def counts() -> dict[str, int]:
    """Return how many objects of each kind there are."""
    totals = Study.objects.aggregate(
        instances=Sum("instance_count", default=0),
        evicted=Sum("evicted_count", default=0),
        rejected=Sum("rejected_count", default=0),
    )
    kinds = (Instance, NonPatientObject)
    return {
        "studies": Study.objects.filter(instance_count__gt=0).count(),
        "series": Series.objects.filter(instance_count__gt=0).count(),
        **totals,
        "quarantined": Quarantined.waiting.count(),
        "damaged": sum(model._base_manager.filter(damaged=True).count() for model in kinds),
        "non_patient": NonPatientObject.objects.count(),
    }


def _rescue() -> dict[str, Any] | None:
    """Return the state of the emergency account's seal, None where there is no account."""
    seal = sealed.seal(Layout(CONFIG.data_dir))
    return {"made_at": seal.made_at, "opened_at": seal.opened_at} if seal else None


def disk_use() -> dict[str, Any]:
    """Return the disk's bytes by use."""
    disk = os.statvfs(CONFIG.data_dir)
    return {
        "total_bytes": disk.f_blocks * disk.f_frsize,
        "free_bytes": disk.f_bavail * disk.f_frsize,
        "stored_bytes": _stored_bytes(),
        "reserve_bytes": CONFIG.reserve_bytes,
    }


def _stored_bytes() -> int:
    studies = Study.objects.aggregate(size=Sum("online_bytes", default=0))["size"]
    others = NonPatientObject.objects.aggregate(size=Sum("size_bytes", default=0))["size"]
    return int(studies + others)


def _index() -> str:
    try:
        Study.objects.exists()
    except DatabaseError as error:
        return f"the index does not answer: {' '.join(str(error).split())}"
    return ""


def _disk() -> str:
    try:
        require_space(CONFIG.data_dir, 0, CONFIG.reserve_bytes)
    except ArgensError as error:
        return str(error)
    return ""


def _dicom() -> str:
    if is_listening(CONFIG.dicom_bind, CONFIG.dicom_port):
        return ""
    return f"nothing listens on the DICOM port {CONFIG.dicom_port}"


def _dicom_tls() -> str:
    tls = CONFIG.tls
    if not tls.port or is_listening(tls.bind, tls.port):
        return ""
    return f"nothing listens on the DICOM TLS port {tls.port}"
