"""Eviction for space: the node deletes its own files, on proof; stubs stay (custody rule 7)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from dicom_node import audit
from dicom_node.custody.stub import keep_stub
from dicom_node.index import holds
from dicom_node.index.durable import durable_transaction
from dicom_node.index.study_counts import count_evicted, lock_study
from dicom_node.models import EvictionPlan, Instance, Quarantined, Study, UsedTicket
from dicom_node.store import blobs, part10
from dicom_node.store.journal import EVICTED, Journal
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import BadInput, Conflict, NotFound, Refused
from pacs_common.tickets import LEEWAY_S, Ticket

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Eviction:
    """Executes plans for one node; `in_use` is how long a study stays after it was read."""

    layout: Layout
    in_use: timedelta

    def execute(self, plan: Mapping[str, Any], ticket: Ticket) -> dict[str, Any]:
        """Delete what the plan proves, and return the answer that is kept for its plan id.

        Raises BadInput, NotFound, or Conflict where the plan is void or the ticket was used.
        """
        plan_id, study_uid, named = _checked(plan, ticket)
        stored = EvictionPlan.objects.filter(plan_id=plan_id).first()
        if stored is not None and stored.study_uid != study_uid:
            raise Conflict("this plan id was used for another study")
        if stored is not None and stored.answer is not None:
            return stored.answer
        _use(ticket, plan_id)
        study = Study.objects.filter(uid=study_uid).first()
        if study is None:
            raise NotFound(f"study {study_uid} is not here")
        if int(plan["recalls"]) != study.recalls:
            raise Conflict("the plan is void: the study was recalled since")
        if stored is None:
            if int(plan["revision"]) != study.revision:
                raise Conflict("the plan is void: an instance arrived since")
            EvictionPlan.objects.get_or_create(plan_id=plan_id, defaults={"study_uid": study_uid})
        answer = self._evict_all(plan_id, study, named)
        EvictionPlan.objects.filter(plan_id=plan_id).update(answer=answer)
        audit.note("evicted", study_uid=study_uid, by=ticket.subject, **_counts(answer))
        return answer

    def _evict_all(
        self, plan_id: str, study: Study, named: list[Mapping[str, Any]]
    ) -> dict[str, Any]:
        accepted, refused = [], []
        for receipt in named:
            instance = self._find(study, receipt)
            why = self._refusal(study, instance, receipt)
            if why:
                refused.append({"sop_instance_uid": receipt["sop_instance_uid"], "reason": why})
            elif instance is not None:
                accepted.append((instance, receipt))
        for instance, _ in accepted:
            keep_stub(self.layout, instance)
        records = [_record(plan_id, study, i, receipt) for i, receipt in accepted]
        Journal(self.layout.journal).append(EVICTED, records)
        by_hour: dict[str, list[Instance]] = {}
        for instance, _ in accepted:
            by_hour.setdefault(instance.hour, []).append(instance)
        freed = sum(self._remove(study, instances) for instances in by_hour.values())
        evicted = [instance.uid for instance, _ in accepted]
        return {"plan_id": plan_id, "evicted": evicted, "refused": refused, "freed_bytes": freed}

    def _find(self, study: Study, receipt: Mapping[str, Any]) -> Instance | None:
        found = Instance.every.filter(uid=receipt["sop_instance_uid"], series__study=study)
        return found.select_related("series__study").first()

    def _refusal(self, study: Study, instance: Instance | None, receipt: Mapping[str, Any]) -> str:
        if instance is None:
            return "not in this study"
        if study.holds:
            return holds.refusal(study.holds)
        if instance.damaged:
            return "damaged here: the copy may be the only good one"
        if not any(copy.get("verified_at") for copy in receipt["copies"]):
            return "no verified copy is named"
        if Quarantined.waiting.filter(uid=instance.uid).exists():
            return "waits for a quarantine decision"
        if study.last_access_at and timezone.now() - study.last_access_at < self.in_use:
            return "in use: read a moment ago"
        path = self.layout.object(instance.hour, instance.uid)
        if instance.availability != Availability.ONLINE and not path.exists():
            return ""  # done by an earlier, interrupted run of this plan
        if not instance.stored_sha256 or receipt["stored_sha256"] != instance.stored_sha256:
            return "its digest is not the node's"
        if not _is_as_told(path, instance):
            return "the file on disk is not what the index says"
        return ""

    def _remove(self, study: Study, instances: list[Instance]) -> int:
        """Remove the files of one folder, once the index durably says so; return their bytes."""
        paths = [self.layout.object(instance.hour, instance.uid) for instance in instances]
        folder = paths[0].parent
        with blobs.locked(folder, exclusive=True):  # a recall holds it while it puts files back
            with durable_transaction():
                lock_study(study.id)
                _require_unchanged(study)
                for instance in instances:
                    is_online = Instance.every.filter(
                        id=instance.id, availability=Availability.ONLINE
                    )
                    if is_online.update(availability=Availability.NEARLINE):
                        count_evicted(instance, +1)
            freed = sum(map(_unlink, paths))
            blobs.sync_folder(folder)
        return freed


def _require_unchanged(study: Study) -> None:
    """Raise Conflict where a study was recalled or held since its plan was looked at."""
    now = Study.objects.get(id=study.id)
    if now.recalls != study.recalls:
        raise Conflict("the plan is void: the study was recalled since")
    if now.holds:
        raise Conflict(f"the plan is void: the study is {holds.refusal(now.holds)}")


def _is_as_told(path: Path, instance: Instance) -> bool:
    try:
        return part10.file_sha256(path) == instance.stored_sha256
    except FileNotFoundError:
        return False


def _counts(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "plan_id": answer["plan_id"],
        "instances": len(answer["evicted"]),
        "refused": len(answer["refused"]),
        "freed_bytes": answer["freed_bytes"],
    }


def _unlink(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:  # an interrupted run of this plan came this far
        return 0
    return size


def _checked(plan: Mapping[str, Any], ticket: Ticket) -> tuple[str, str, list[Mapping[str, Any]]]:
    try:
        plan_id, study_uid = str(plan["plan_id"]), str(plan["study_uid"])
        named = {
            str(r["sop_instance_uid"]): {
                "sop_instance_uid": str(r["sop_instance_uid"]),
                "stored_sha256": r["stored_sha256"],
                "copies": [dict(copy) for copy in r.get("copies", [])],
            }
            for r in plan["instances"]
        }
        int(plan["revision"]), int(plan["recalls"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"the plan lacks {error}") from None
    if ticket.plan != plan_id:
        raise Conflict("the ticket is for another plan")
    if ticket.study != study_uid:
        raise Refused("the ticket is not bound to this study")
    return plan_id, study_uid, list(named.values())


def _use(ticket: Ticket, plan_id: str) -> None:
    expires_at = datetime.fromtimestamp(ticket.expires_at, UTC) + timedelta(seconds=LEEWAY_S)
    try:
        with transaction.atomic():
            UsedTicket.objects.create(jti=ticket.jti, plan_id=plan_id, expires_at=expires_at)
    except IntegrityError:
        raise Conflict("this ticket was used") from None


def _record(
    plan_id: str, study: Study, instance: Instance, receipt: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "study_uid": study.uid,
        "sop_instance_uid": instance.uid,
        "plan_id": plan_id,
        "copies": receipt["copies"],
        "size_bytes": instance.size_bytes,
        "transfer_syntax_uid": instance.transfer_syntax,
        "arrived_at": instance.arrived_at.isoformat(),
        "source_ae": instance.source_ae,
        "received_sha256": instance.received_sha256,
        "stored_sha256": instance.stored_sha256,
        "pixel_sha256": instance.pixel_sha256,
    }
