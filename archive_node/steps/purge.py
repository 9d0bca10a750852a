"""Ask a node to free what is proven to be in the vault; the node alone decides and deletes."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from archive_node.catalogue import held
from archive_node.models import CopiedInstance, Plan
from archive_node.steps import manifest as manifests
from archive_node.steps.manifest import Manifest
from archive_node.steps.work import Work
from archive_node.vault.base import Vault
from pacs_common import errors


def purge(work: Work, vault: Vault) -> None:
    """Make a plan, keep it, send it, keep the answer (custody rule 7).

    A plan that a killed worker left unanswered is sent again under its own id, to which the node
    gives the answer it stored. Raises Conflict where the node calls the plan void, or keeps all.
    """
    plan = _open_plan(work)
    if plan is None:
        manifest = manifests.fetch(work)
        named = _proven(work, vault, manifest)
        if not named:
            return
        plan = _kept_plan(work, manifest, named)
    answer = plan.answer if plan.answer is not None else _asked(work, plan)
    _report(work, plan, answer)


def _open_plan(work: Work) -> Plan | None:
    """Return this job's plan, unless the node called it void or refused all of it."""
    plan = Plan.objects.filter(job_id=work.job_id, void="").order_by("-created_at").first()
    if plan is not None and plan.answer is not None and not plan.answer["evicted"]:
        return None
    return plan


def _proven(work: Work, vault: Vault, manifest: Manifest) -> list[CopiedInstance]:
    """Return the verified copies of what is online, on volumes that the vault still has.

    Raises Conflict where something is online and nothing of it is proven.
    """
    online = [entry for entry in manifest.instances if entry.availability == "ONLINE"]
    labels = {volume.label for volume in vault.volumes()}
    proven = held(work.node, work.study_uid, verified=True)
    named = [
        proven[entry.key]
        for entry in online
        if entry.key in proven and proven[entry.key].copy.volume in labels
    ]
    if online and not named:
        raise errors.Conflict("no instance of this study has a verified copy: nothing is evicted")
    return named


def _kept_plan(work: Work, manifest: Manifest, named: list[CopiedInstance]) -> Plan:
    plan_id = uuid.uuid4()
    body = {
        "plan_id": str(plan_id),
        "study_uid": work.study_uid,
        "revision": manifest.revision,
        "recalls": manifest.recalls,
        "instances": [_receipt(row) for row in named],
    }
    with work.fenced():
        return Plan.objects.create(
            id=plan_id,
            job_id=work.job_id,
            node=work.node,
            study_uid=work.study_uid,
            body=body,
        )


def _receipt(row: CopiedInstance) -> dict[str, Any]:
    return {
        "sop_instance_uid": row.sop_instance_uid,
        "stored_sha256": row.stored_sha256,
        "copies": [
            {
                "vault": row.copy.vault,
                "volume": row.copy.volume,
                "member": row.copy.member,
                "verified_at": row.copy.verified_at.isoformat(),
            }
        ],
    }


def _asked(work: Work, plan: Plan) -> dict[str, Any]:
    work.check()
    try:
        answer = work.client.evict(plan.body)
    except errors.Conflict as error:
        with work.fenced():
            Plan.objects.filter(id=plan.id).update(
                void=str(error)[:500], answered_at=timezone.now()
            )
        raise
    with work.fenced():
        Plan.objects.filter(id=plan.id).update(answer=answer, answered_at=timezone.now())
    return answer


def _report(work: Work, plan: Plan, answer: dict[str, Any]) -> None:
    evicted, refused = answer["evicted"], answer["refused"]
    if refused and not evicted:
        raise errors.Conflict(f"{work.node} keeps all of it: {refused[0]['reason']}")
    work.expect(len(plan.body["instances"]), answer["freed_bytes"])
    work.advance(answer["freed_bytes"], instances=len(evicted))
    if refused:
        work.note(f"{work.node} keeps {len(refused)} instances: {refused[0]['reason']}")
