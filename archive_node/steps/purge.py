"""Ask a node to free what is proven to be in the vault; the node alone decides and deletes."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from archive_node import holding, library
from archive_node.catalogue import Held, Key, doubt, held_by_vault, mark_bad
from archive_node.models import CopiedInstance, Plan
from archive_node.steps import manifest as manifests
from archive_node.steps.manifest import Manifest
from archive_node.steps.receipts import receipt
from archive_node.steps.work import Work
from pacs_common import errors
from pacs_common.sentences import say

Sound = dict[Key, list[CopiedInstance]]


def purge(work: Work) -> None:
    """Make a plan, keep it, send it, keep the answer (custody rule 7).

    A plan that a killed worker left unanswered is sent again under its own id, to which the node
    gives the answer it stored, while all that it names is still proven. Raises Conflict where the
    study is held, or the node calls the plan void, or keeps all; VaultUnavailable where a required
    vault is not there.
    """
    sound = _sound(work)
    plan = _open_plan(work, sound)
    if plan is None:
        _check_holds(work)
        manifest = manifests.fetch(work)
        named = _proven(work, sound, manifest)
        if not named:
            return
        plan = _kept_plan(work, manifest, named)
    answer = plan.answer if plan.answer is not None else _asked(work, plan)
    _report(work, plan, answer)


def _check_holds(work: Work) -> None:
    why = holding.why_held(work.node, work.study_uid)
    if why:
        raise errors.Conflict(say("held", why=why))


def _sound(work: Work) -> Sound:
    """Return the verified copies of each instance that every required vault has, all of them."""
    found = held_by_vault(work.node, work.study_uid, verified=True)
    required = library.required()
    there: dict[str, Held] = {}
    for name, rows in found.items():
        try:
            there[name] = _there(work, name, rows)
        except (errors.ArgensError, OSError):
            if name in required:
                raise  # of another vault, that is away, nothing is said
    needed = [there.get(name, {}) for name in required]
    return {
        key: [rows[key] for rows in there.values() if key in rows]
        for key in needed[0]
        if all(key in rows for rows in needed)
    }


def _there(work: Work, name: str, proven: Held) -> Held:
    """Return what one vault's copies hold whose members are where they were written.

    A member that is gone from a volume that is here is a bad copy: it is to be written anew. One on
    a suspect or retired volume frees nothing.
    """
    vault = library.vault(name)
    labels = library.relied_on(vault)
    copies = {row.copy_id: row.copy for row in proven.values() if row.copy.volume in labels}
    there = {key for key, copy in copies.items() if vault.find(copy.member) == copy.volume}
    for key, copy in copies.items():
        if key not in there:
            with work.fenced():
                mark_bad(copy, say("member-missing", volume=copy.volume, member=copy.member))
    return {key: row for key, row in proven.items() if row.copy_id in there}


def _open_plan(work: Work, sound: Sound) -> Plan | None:
    """Return this job's plan, unless the node called it void or refused all of it.

    One without an answer may have waited for long: where a copy that it names is no longer
    sound, it is void.
    """
    plan = Plan.objects.filter(job_id=work.job_id, void="").order_by("-created_at").first()
    if plan is None:
        return None
    if plan.answer is not None:
        return plan if plan.answer["evicted"] else None
    receipts = {key: receipt(rows) for key, rows in sound.items()}
    if all(
        receipts.get((named["sop_instance_uid"], named["stored_sha256"])) == named
        for named in plan.body["instances"]
    ):
        return plan
    with work.fenced():
        Plan.objects.filter(id=plan.id).update(void="a copy that it names is no longer proven")
    return None


def _proven(work: Work, sound: Sound, manifest: Manifest) -> list[list[CopiedInstance]]:
    """Return the sound copies of what is online.

    Raises Conflict where something is online and nothing of it is proven.
    """
    online = [entry for entry in manifest.instances if entry.availability == "ONLINE"]
    named = [sound[entry.key] for entry in online if entry.key in sound]
    doubtful = {name: library.doubtful(library.vault(name)) for name in library.required()}
    known = held_by_vault(work.node, work.study_uid, verified=True, but_on=doubtful)
    for name in library.required():
        if any(entry.key not in known.get(name, {}) for entry in online):
            with work.fenced():
                doubt(work.node, work.study_uid, name)
    if online and not named:
        raise errors.Conflict(say("not-evictable"))
    return named


def _kept_plan(work: Work, manifest: Manifest, named: list[list[CopiedInstance]]) -> Plan:
    plan_id = uuid.uuid4()
    body = {
        "plan_id": str(plan_id),
        "study_uid": work.study_uid,
        "revision": manifest.revision,
        "recalls": manifest.recalls,
        "instances": [receipt(rows) for rows in named],
    }
    with work.fenced():
        return Plan.objects.create(
            id=plan_id,
            job_id=work.job_id,
            node=work.node,
            study_uid=work.study_uid,
            body=body,
        )


def _asked(work: Work, plan: Plan) -> dict[str, Any]:
    work.check()
    _check_holds(work)  # one may have been put on it since the plan was made
    try:
        answer = _readable(work, work.client.evict(plan.body))
    except errors.Conflict as error:
        with work.fenced():
            Plan.objects.filter(id=plan.id).update(
                void=str(error)[:500], answered_at=timezone.now()
            )
        raise
    with work.fenced():
        Plan.objects.filter(id=plan.id).update(answer=answer, answered_at=timezone.now())
    return answer


def _readable(work: Work, answer: Any) -> dict[str, Any]:
    """Return an answer that can be kept; raises PeerUnreachable, so that it is asked for again."""
    try:
        freed, evicted = answer["freed_bytes"], answer["evicted"]
        explained = all(isinstance(each["reason"], str) for each in answer["refused"])
        if explained and isinstance(evicted, list) and isinstance(freed, int) and freed >= 0:
            return answer
    except (KeyError, TypeError):
        pass
    raise errors.PeerUnreachable(say("node-answer-unreadable", node=work.node))


def _report(work: Work, plan: Plan, answer: dict[str, Any]) -> None:
    evicted, refused = answer["evicted"], answer["refused"]
    if not evicted:
        reason = refused[0]["reason"] if refused else say("no-reason")
        raise errors.Conflict(say("node-keeps-all", node=work.node, why=reason))
    work.expect(len(plan.body["instances"]), answer["freed_bytes"])
    work.advance(answer["freed_bytes"], instances=len(evicted))
    if refused:
        why = refused[0]["reason"]
        work.note(say("node-keeps-some", node=work.node, kept_count=len(refused), why=why))
