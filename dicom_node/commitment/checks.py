"""Whether the node can vouch for an instance: it is there, whole, and undisputed (PS3.4 J.3.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from dicom_node.commitment.receipts import proven
from dicom_node.index import changes
from dicom_node.models import (
    Commitment,
    CommitmentItem,
    Instance,
    NonPatientObject,
    Quarantined,
)
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
# Failure Reason (0008,1197), PS3.3 C.14.1.1
COMMITTED = 0x0000
PROCESSING_FAILURE, NO_SUCH_INSTANCE, RESOURCE_LIMITATION = 0x0110, 0x0112, 0x0213
CLASS_NOT_SUPPORTED, CLASS_CONFLICT, DUPLICATE_TRANSACTION = 0x0122, 0x0119, 0x0131
BATCH_ITEMS = 100


@dataclass(frozen=True)
class Checker:
    """Decides the items of requests; `classes` are the SOP classes that the node stores."""

    layout: Layout
    classes: Collection[str]
    copies: int
    copies_wait: timedelta

    def decide(self, request: Commitment, may_go_on: Callable[[], bool]) -> bool:
        """Decide what is open of a request and return whether all of it is decided now.

        An instance whose archived copy is still to come stays open until `copies_wait` is over.
        """
        if request.is_duplicate:
            request.items.filter(reason=None).update(reason=DUPLICATE_TRANSACTION)
        receipts = self._receipts(request)
        last = 0
        while may_go_on():
            open_items = request.items.filter(reason=None, id__gt=last).order_by("id")
            batch = list(open_items[:BATCH_ITEMS])
            if not batch:
                break
            self._decide(batch, receipts, may_go_on)
            last = batch[-1].id
        if timezone.now() - request.asked_at > self.copies_wait:
            request.items.filter(reason=None).update(reason=RESOURCE_LIMITATION)
        return not request.items.filter(reason=None).exists()

    def _decide(
        self,
        items: list[CommitmentItem],
        receipts: set[tuple[str, str]],
        may_go_on: Callable[[], bool],
    ) -> None:
        uids = {item.uid for item in items}
        found: dict[str, Instance | NonPatientObject] = {
            row.uid: row
            for model in (Instance, NonPatientObject)
            for row in model.objects.filter(uid__in=uids)
        }
        disputed = set(Quarantined.waiting.filter(uid__in=uids).values_list("uid", flat=True))
        decided: dict[int, list[int]] = {}
        for item in items:
            if not may_go_on():
                break
            reason = self._reason(item, found.get(item.uid), disputed, receipts)
            if reason is not None:
                decided.setdefault(reason, []).append(item.id)
        for reason, ids in decided.items():
            CommitmentItem.objects.filter(id__in=ids, reason=None).update(reason=reason)

    def _receipts(self, request: Commitment) -> set[tuple[str, str]]:
        """Return (UID, stored digest) of what the archive proves, where that matters."""
        named = request.items.filter(reason=None).values("uid")
        wanted = Instance.objects.filter(uid__in=named)
        if self.copies < 2:
            wanted = wanted.exclude(availability=Availability.ONLINE)
        return proven(self.layout, set(wanted.values_list("uid", flat=True)))

    def _reason(
        self,
        item: CommitmentItem,
        instance: Instance | NonPatientObject | None,
        disputed: set[str],
        receipts: set[tuple[str, str]],
    ) -> int | None:
        """Return the failure reason, 0 for a commitment, None where a copy is waited for."""
        if item.uid in disputed:  # custody rule 5
            return PROCESSING_FAILURE
        if instance is None:
            is_known = item.sop_class in self.classes
            return NO_SUCH_INSTANCE if is_known else CLASS_NOT_SUPPORTED
        if instance.sop_class != item.sop_class:
            return CLASS_CONFLICT
        if instance.damaged:
            return PROCESSING_FAILURE
        if isinstance(instance, NonPatientObject):
            return self._reason_of_non_patient(instance)
        has_copy = (instance.uid, instance.stored_sha256) in receipts
        if instance.availability != Availability.ONLINE:
            return COMMITTED if has_copy else PROCESSING_FAILURE
        if self.copies > 1 and not has_copy:
            return None
        return self._reason_of_file(instance)

    def _reason_of_non_patient(self, row: NonPatientObject) -> int:
        """Never archived: where two copies are required, nobody vouches for the second."""
        if self.copies > 1:
            return RESOURCE_LIMITATION
        path = self.layout.object(row.hour, row.uid)
        try:
            is_whole = part10.data_set_sha256(path) == row.received_sha256
        except FileNotFoundError:
            return _damaged(row, "is gone from the disk")
        except (ArgensError, OSError) as error:
            LOG.error("not committed: %s", error, extra={"sop_instance_uid": row.uid})
            return PROCESSING_FAILURE
        return COMMITTED if is_whole else _damaged(row, "is not what arrived")

    def _reason_of_file(self, instance: Instance) -> int:
        path = self.layout.object(instance.hour, instance.uid)
        try:
            received, stored = part10.stored_digests(path)
            is_recompressed = part10.recompressed(path) is not None
        except FileNotFoundError:
            return self._reason_of_missing(instance)
        except (ArgensError, OSError) as error:
            LOG.error("not committed: %s", error, extra={"sop_instance_uid": instance.uid})
            return PROCESSING_FAILURE
        if instance.stored_sha256 and not is_recompressed:
            is_whole = stored == instance.stored_sha256
        else:  # the row of a compressed file may follow it, after a crash much later
            is_whole = received == instance.received_sha256
        return COMMITTED if is_whole else _damaged(instance, "is not what arrived")

    def _reason_of_missing(self, instance: Instance) -> int:
        """It may have been evicted a moment ago: then its receipt speaks for it."""
        now = Instance.objects.filter(uid=instance.uid).first()
        if now is None:
            return NO_SUCH_INSTANCE
        if now.availability == Availability.ONLINE:
            return _damaged(now, "is gone from the disk")
        has_copy = (now.uid, now.stored_sha256) in proven(self.layout, {now.uid})
        return COMMITTED if has_copy else PROCESSING_FAILURE


def _damaged(row: Instance | NonPatientObject, what: str) -> int:
    LOG.critical("a stored object %s", what, extra={"sop_instance_uid": row.uid})
    same = type(row).objects.filter(id=row.id, size_bytes=row.size_bytes)
    same.update(damaged=True)  # not where it was compressed meanwhile
    if isinstance(row, Instance):
        changes.note_instances([row.id])
    return PROCESSING_FAILURE
