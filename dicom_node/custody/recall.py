"""Bringing an evicted instance back: the exact file, checked against its digest; no arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from django.db.models import F

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
    """Store the file of an instance that is evicted or lost; False where it is there already.

    Recall may use half of the reserve, so that a full node can still serve what it evicted.
    Raises DigestMismatch, BadInput, DiskFull.
    """
    path = layout.object(instance.hour, instance.uid)
    if instance.availability == Availability.ONLINE and path.exists():
        return False
    if size_bytes != instance.size_bytes:
        raise BadInput(f"{size_bytes} bytes came, the file has {instance.size_bytes}")
    blobs.require_space(layout.objects, size_bytes, reserve_bytes // 2)
    with blobs.locked(path.parent, exclusive=False):  # no eviction of this folder meanwhile
        _restore(layout, instance, path, _checked(body, size_bytes, instance.stored_sha256))
    return True


def _restore(layout: Layout, instance: Instance, path: Path, content: Iterator[bytes]) -> None:
    try:
        blobs.write(path, content)
    except blobs.AlreadyThere:  # an eviction that was interrupted before it deleted
        if part10.file_sha256(path) != instance.stored_sha256:
            raise DigestMismatch("the file on the node's disk is damaged") from None
    blobs.sync_folder(path.parent)
    record = {"study_uid": instance.series.study.uid, "sop_instance_uid": instance.uid}
    Journal(layout.journal).append(RECALLED, [record])
    _mark_online(instance)
    for leftover in (STUB, THUMBNAIL):
        layout.object(instance.hour, instance.uid, leftover).unlink(missing_ok=True)


def _checked(body: BinaryIO, size_bytes: int, sha256: str) -> Iterator[bytes]:
    """Yield the body; refuse before its last chunk is written where the digest is not right."""
    digest, left = hashlib.sha256(), size_bytes
    while left:
        chunk = body.read(min(left, blobs.CHUNK_BYTES))
        if not chunk:
            raise BadInput("the body ended early")
        digest.update(chunk)
        left -= len(chunk)
        if not left and digest.hexdigest() != sha256:
            raise DigestMismatch("the bytes are not those that were evicted")
        yield chunk


def _mark_online(instance: Instance) -> None:
    study = instance.series.study
    with durable_transaction():
        lock_study(study.id)
        Instance.every.filter(id=instance.id).update(damaged=False)
        moved = Instance.every.filter(id=instance.id).exclude(availability=Availability.ONLINE)
        if moved.update(availability=Availability.ONLINE):
            count_evicted(instance, -1)
            Study.objects.filter(id=study.id).update(recalls=F("recalls") + 1)
        if not Study.objects.filter(id=study.id, evicted_count__gt=0).exists():
            RecallRequest.objects.filter(study_uid=study.uid).delete()
