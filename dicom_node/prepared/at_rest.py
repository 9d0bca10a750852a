"""Lossless JPEG in the place of uncompressed files, before the archive has seen them (rule 4).

The new file is whole and durable under the old one's name before the index tells of it. Whoever
finds it, after a crash or in an index made anew, knows by its meta group what arrived.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db.models import F
from django.utils import timezone
from pydicom.uid import JPEGLosslessSV1

from dicom_node.index import changes, journaled
from dicom_node.index.durable import durable_transaction
from dicom_node.index.study_counts import lock_study
from dicom_node.ingest.same import compared
from dicom_node.models import FrameMap, Instance, Quarantined, Study
from dicom_node.prepared.kept import LAYOUT
from dicom_node.prepared.study_frames import Saving
from dicom_node.render.image_format import NATIVE
from dicom_node.render.pixels import pixel_sha256
from dicom_node.render.transcode import to_syntax
from dicom_node.store import blobs, part10
from dicom_node.store.journal import COPIED, EVICTED, OFFERED, RECALLED, Journal
from dicom_node.store.recompressed import Recompressed
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, CannotRender, NotAcceptable

LOG = logging.getLogger(__name__)
MAX_BYTES = 1 << 30  # of a file: a larger one is not held in memory
_LOSSLESS_JPEG = str(JPEGLosslessSV1)


@dataclass(frozen=True)
class _Seen:
    """What the archive may have copied of a study: single instances, and all until a moment."""

    uids: Collection[str]
    until: datetime | None

    @classmethod
    def of(cls, study: Study) -> _Seen:
        records = journaled.of_study(Journal(LAYOUT.journal), study.uid)
        copied = {
            record["sop_instance_uid"]
            for record in records
            if record["kind"] in (COPIED, EVICTED, RECALLED)
        }
        offers = [
            datetime.fromisoformat(record["at"]) for record in records if record["kind"] == OFFERED
        ]
        return cls(copied, max(offers, default=None))

    def covers(self, image: Instance) -> bool:
        return image.uid in self.uids or (self.until is not None and image.arrived_at <= self.until)


def compress_study(study: Study, saving: Saving, goes_on: Callable[[], bool]) -> bool:
    """Compress the files of a study that the archive has not seen; false where interrupted.

    Counts those that are stored compressed, of now and of before.
    """
    seen = _Seen.of(study)
    images = Instance.every.filter(
        series__study=study, availability=Availability.ONLINE, rows__isnull=False
    )
    for number in list(images.order_by("id").values_list("id", flat=True)):
        if not goes_on():
            return False
        image = images.select_related("series").filter(id=number).first()
        if image is not None:
            try:
                _settle(image, seen, saving)
            except FileNotFoundError:  # evicted or removed meanwhile, or lost
                continue
    return True


def _settle(image: Instance, seen: _Seen, saving: Saving) -> None:
    path = LAYOUT.object(image.hour, image.uid)
    told = part10.recompressed(path)
    if told is not None and path.stat().st_size != image.size_bytes:
        _adopt(image, path, told)  # a crash came between the file and its row
    elif told is None and _may_be_replaced(image) and not seen.covers(image):
        told = _replace(image, path)
    if told is not None:
        size_bytes = path.stat().st_size
        saving.add(told.received_bytes, size_bytes)
        saving.saved_bytes += told.received_bytes - size_bytes


def _may_be_replaced(image: Instance) -> bool:
    """Whether it is known to be what arrived, and uncompressed; nothing else waits on its bytes."""
    return (
        image.transfer_syntax in NATIVE
        and not image.damaged
        and bool(image.stored_sha256 and image.pixel_sha256)
        and image.size_bytes <= MAX_BYTES
        and not Quarantined.waiting.filter(uid=image.uid).exists()
    )


def _replace(image: Instance, path: Path) -> Recompressed | None:
    """Put the lossless JPEG of an image in its place; None where it stays as it is."""
    made = _made(image, path)
    if made is None:
        return None
    head, data_set, told = made
    with blobs.locked(path.parent, exclusive=True):  # no eviction of this folder meanwhile
        unchanged = Instance.every.filter(
            id=image.id, availability=Availability.ONLINE, stored_sha256=image.stored_sha256
        )
        if not unchanged.exists() or part10.file_sha256(path) != image.stored_sha256:
            return None
        blobs.replace(path, [head, data_set])
        _index(image, path)
    return told


def _made(image: Instance, path: Path) -> tuple[bytes, bytes, Recompressed] | None:
    """Return the new file in two parts, read back and compared; None where it must not be."""
    try:
        ds = part10.read_object(path)
        data_set = to_syntax(ds, _LOSSLESS_JPEG)
        told = Recompressed(image.received_sha256, image.size_bytes, _sha256(data_set))
        origin = part10.provenance(ds.file_meta, image.arrived_at)
        head = part10.meta_group(image.sop_class, image.uid, _LOSSLESS_JPEG, origin, told)
        anew = part10.read_object(io.BytesIO(head + data_set))
        is_same = pixel_sha256(anew) == image.pixel_sha256 and compared(anew) == compared(ds)
    except (NotAcceptable, CannotRender):
        return None
    except (ArgensError, *part10.UNREADABLE) as error:
        LOG.warning("not compressed: %s", error, extra={"sop_instance_uid": image.uid})
        return None
    is_smaller = len(head) + len(data_set) < image.size_bytes
    return (head, data_set, told) if is_same and is_smaller else None


def _adopt(image: Instance, path: Path, told: Recompressed) -> None:
    """Tell the index of a compressed file that a crash left in an image's place, if it is whole."""
    if part10.data_set_sha256(path) != image.received_sha256:
        LOG.critical("damaged object", extra={"sop_instance_uid": image.uid})
        Instance.every.filter(id=image.id).update(damaged=True)
        changes.note_instances([image.id])
        return
    with blobs.locked(path.parent, exclusive=True):
        _index(image, path)


def _index(image: Instance, path: Path) -> None:
    """Say in the index what the file now is; received and pixel digests never change."""
    size_bytes = path.stat().st_size
    changes = {
        "size_bytes": size_bytes,
        "transfer_syntax": _LOSSLESS_JPEG,
        "stored_sha256": part10.file_sha256(path),
        "damaged": False,
    }
    with durable_transaction():
        lock_study(image.series.study_id)
        same = Instance.every.filter(id=image.id, size_bytes=image.size_bytes)
        if same.update(**changes):
            FrameMap.objects.filter(instance_id=image.id).delete()
            step = size_bytes - image.size_bytes
            Study.objects.filter(id=image.series.study_id).update(
                size_bytes=F("size_bytes") + step,
                online_bytes=F("online_bytes") + step,
                changed_at=timezone.now(),
            )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
