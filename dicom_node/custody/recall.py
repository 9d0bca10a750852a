"""Bringing an instance back that is evicted, lost or damaged: the exact file; no arrival.

Space may be reserved for it before: `reservations.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from django.db.models import F
from django.utils import timezone

from dicom_node.custody import reservations
from dicom_node.index import changes
from dicom_node.index.durable import durable_transaction
from dicom_node.index.study_counts import count_evicted, lock_study
from dicom_node.models import Instance, RecallRequest, Study
from dicom_node.store import blobs, part10
from dicom_node.store.journal import RECALLED, Journal
from dicom_node.store.layout import STUB, THUMBNAIL, Layout
from pacs_common.availability import Availability
from pacs_common.errors import BadInput, DigestMismatch


def put_back(
    layout: Layout, instance: Instance, body: BinaryIO, size_bytes: int, *, reserve_bytes: int
) -> bool:
    """Store the file of an instance that is evicted, lost or damaged; False where it is there.

    Recall may use half of the reserve, so that a full node can still serve what it evicted, but
    not what is reserved for other studies. Raises DigestMismatch, BadInput, DiskFull.
    """
    path = layout.object(instance.hour, instance.uid)
    if _is_there(instance, path):
        return False
    if size_bytes != instance.size_bytes:
        raise BadInput(f"{size_bytes} bytes came, the file has {instance.size_bytes}")
    study_uid = instance.series.study.uid
    kept_bytes = reserve_bytes // 2 + reservations.reserved_bytes(but_for=study_uid)
    blobs.require_space(layout.objects, size_bytes, kept_bytes)
    with blobs.locked(path.parent, exclusive=False):  # no eviction of this folder meanwhile
        _restore(layout, instance, path, checked(body, size_bytes, instance.stored_sha256))
    reservations.use(study_uid, size_bytes)
    return True


def _is_there(instance: Instance, path: Path) -> bool:
    """Whether the instance's own bytes are on the disk, as far as the node knows."""
    if instance.availability != Availability.ONLINE or not path.exists():
        return False
    if not instance.damaged or not instance.stored_sha256:
        return True
    if part10.file_sha256(path) != instance.stored_sha256:
        return False
    Instance.every.filter(id=instance.id).update(damaged=False)
    changes.note_instances([instance.id])
    return True


def _restore(layout: Layout, instance: Instance, path: Path, content: Iterator[bytes]) -> None:
    if path.exists() and part10.file_sha256(path) != instance.stored_sha256:
        blobs.replace(path, content)  # damaged, and worth nothing beside the exact file
    else:
        try:
            blobs.write(path, content)
        except blobs.AlreadyThere:
            pass  # an eviction that was interrupted before it deleted
    blobs.sync_folder(path.parent)
    record = {"study_uid": instance.series.study.uid, "sop_instance_uid": instance.uid}
    Journal(layout.journal).append(RECALLED, [record])
    _mark_online(instance)
    for leftover in (STUB, THUMBNAIL):
        layout.object(instance.hour, instance.uid, leftover).unlink(missing_ok=True)


def checked(body: BinaryIO, size_bytes: int, sha256: str) -> Iterator[bytes]:
    """Yield the body; refuse before its last chunk is written where the digest is not right."""
    digest, left = hashlib.sha256(), size_bytes
    while left:
        chunk = body.read(min(left, blobs.CHUNK_BYTES))
        if not chunk:
            raise BadInput("the body ended early")
        digest.update(chunk)
        left -= len(chunk)
        if not left and digest.hexdigest() != sha256:
            raise DigestMismatch("the bytes are not those of the digest")
        yield chunk


def _mark_online(instance: Instance) -> None:
    study = instance.series.study
    with durable_transaction():
        lock_study(study.id)
        row = Instance.every.filter(id=instance.id)
        place = row.values_list("availability", flat=True).first()
        row.update(damaged=False)
        Study.objects.filter(id=study.id).update(changed_at=timezone.now())
        if row.exclude(availability=Availability.ONLINE).update(availability=Availability.ONLINE):
            count_evicted(instance, -1, is_offline=place == Availability.OFFLINE)
            Study.objects.filter(id=study.id).update(recalls=F("recalls") + 1)
        if not Study.objects.filter(id=study.id, evicted_count__gt=0).exists():
            RecallRequest.objects.filter(study_uid=study.uid).delete()
            reservations.end(study.uid)
