"""Jobs: list them, ask for one, act on one or on many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.http import HttpRequest, JsonResponse

from archive_node import library, trail
from archive_node.api.asked import page
from archive_node.api.guard import body, ticketed
from archive_node.api.job_json import all_as_json, as_json
from archive_node.jobs import actions, dispatch, moves
from archive_node.models import Job
from archive_node.nodes import names
from pacs_common import errors
from pacs_common.sentences import say
from pacs_common.tickets import Ticket
from pacs_common.uids import Uid

OPEN = "open"  # all states of a job that has not ended
OF_VOLUMES = (Job.Kind.SCRUB, Job.Kind.EVACUATE)
OF_NODES = (Job.Kind.RESTORE,)
_WAKING = {"retry", "resume", "now", "priority"}
_NAME = 32


@ticketed(GET="archive.read", POST=("archive.operate", "archive.recall"))
def jobs(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List jobs, newest first, or ask for one."""
    if request.method == "POST":
        return _ask(ticket, body(request))
    chosen = Job.objects.filter(**_filters(request.GET)).order_by("-id")
    found = all_as_json(list(page(chosen, request.GET)))
    return JsonResponse({"jobs": found, "total": chosen.count()})


@ticketed(GET="archive.read")
def job(request: HttpRequest, ticket: Ticket, job_id: int) -> JsonResponse:
    """Show one job."""
    found = Job.objects.filter(id=job_id).first()
    if found is None:
        raise errors.NotFound(say("job-unknown", job=job_id))
    return JsonResponse({"job": as_json(found)})


@ticketed(POST="archive.operate")
def act(request: HttpRequest, ticket: Ticket, job_id: int, action: str) -> JsonResponse:
    """Do one of docs/archive-jobs.md's actions with a job."""
    if action not in moves.ACTIONS:
        raise errors.NotFound(f"no action is called {action[:20]!r}")
    priority = _priority(body(request)) if action == "priority" else None
    done = actions.act(action, job_id, ticket.subject, priority)
    if action in _WAKING:
        dispatch.send_due()
    return JsonResponse({"job": as_json(done)}, status=202)


@ticketed(POST="archive.operate")
def act_on_many(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """Do an action with the jobs that are named, or with all that match and may make it."""
    wanted = body(request)
    action = str(wanted.get("action"))
    if action not in moves.ACTIONS:
        raise errors.BadInput(f"action is one of {', '.join(moves.ACTIONS)}")
    priority = _priority(wanted) if action == "priority" else None
    ids = _ids(wanted["ids"]) if "ids" in wanted else _matching(action, wanted)
    done, refused = actions.act_on_many(action, ids, ticket.subject, priority)
    if action in _WAKING:
        dispatch.send_due()
    told = [{"id": number, "reason": str(error)} for number, error in refused.items()]
    return JsonResponse({"done": done, "refused": told})


def _filters(asked: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, choices in (("state", [*Job.State.values, OPEN]), ("kind", Job.Kind.values)):
        if asked.get(name):
            if asked[name] not in choices:
                raise errors.BadInput(f"{name} is one of {', '.join(choices)}")
            found[name] = asked[name]
    if found.get("state") == OPEN:
        del found["state"]
        found["state__in"] = Job.OPEN
    for name in ("node", "vault", "volume"):
        if asked.get(name):
            found[name] = _printable(str(asked[name]))[:_NAME]
    if asked.get("study"):
        found["study_uid"] = Uid.parse(asked["study"], "study")
    return found


def _matching(action: str, wanted: dict[str, Any]) -> list[int]:
    """Return the jobs that match and whose state allows the action: of others nobody spoke."""
    able = Job.objects.filter(state__in=moves.MOVES[action][0])
    return list(able.filter(**_filters(wanted)).order_by("id").values_list("id", flat=True))


def _ids(named: Any) -> list[int]:
    whole = isinstance(named, list) and all(type(each) is int for each in named)
    if not whole or not all(0 <= each < 2**63 for each in named):
        raise errors.BadInput("ids is a list of jobs' numbers")
    return list(dict.fromkeys(named))


def _priority(wanted: dict[str, Any]) -> int | None:
    found = wanted.get("priority")
    return found if type(found) is int else None


def _ask(ticket: Ticket, wanted: dict[str, Any]) -> JsonResponse:
    kind = str(wanted.get("kind"))
    if kind not in Job.Kind.values:
        raise errors.BadInput(f"kind is one of {', '.join(Job.Kind.values)}")
    by = _printable(str(wanted.get("requested_by") or ticket.subject))
    if kind in OF_VOLUMES:
        ticket.require("archive.operate")
        vault, label = str(wanted.get("vault")), str(wanted.get("volume"))
        return JsonResponse({"job": as_json(for_volume(kind, vault, label, by))}, status=202)
    if kind in OF_NODES:
        ticket.require("archive.operate")
        return JsonResponse({"job": as_json(_for_node(kind, _node(wanted), by))}, status=202)
    return JsonResponse({"job": as_json(_for_study(ticket, kind, wanted, by))}, status=202)


def for_volume(kind: str, vault: str, label: str, by: str) -> Job:
    """Return the open job of this kind for a volume, made if need be; BadInput, or NotFound."""
    if label not in {volume.label for volume in library.vault(vault).volumes()}:
        raise errors.NotFound(say("volume-unknown", vault=vault, volume=label[:40]))
    with transaction.atomic():
        made, new = dispatch.request_for_volume(kind, vault, label, by)
        about = {"job": made.id, "operation": kind, "vault": vault, "volume": label}
        trail.note("asked", by, **about, new=new)
    return made


def _for_node(kind: str, node: str, by: str) -> Job:
    with transaction.atomic():
        made, new = dispatch.request_for_node(kind, node, by)
        trail.note("asked", by, job=made.id, operation=kind, node=node, new=new)
    return made


def _node(wanted: dict[str, Any]) -> str:
    """Return the node that is named; raises BadInput where there is none of that name."""
    node = str(wanted.get("node"))
    if node not in names():
        raise errors.BadInput(say("node-unknown", name=node[:40]))
    return node


def _for_study(ticket: Ticket, kind: str, wanted: dict[str, Any], by: str) -> Job:
    node, vault = _node(wanted), wanted.get("vault") or ""
    if vault and (kind != Job.Kind.COPY or vault not in library.specs()):
        raise errors.BadInput("vault names a vault of this archive, of a copy alone")
    study_uid = Uid.parse(wanted.get("study_uid"), "study_uid")
    recall_suffices = kind == Job.Kind.RECALL and "archive.recall" in ticket.scopes
    ticket.require("archive.recall" if recall_suffices else "archive.operate", study_uid)
    with transaction.atomic():
        made, new = dispatch.request(kind, node, study_uid, by, vault=vault)
        about = {"job": made.id, "operation": kind, "node": node, "new": new}
        where = {"vault": vault} if vault else {}
        trail.note("asked", by, **about, **where, study_uid=study_uid)
    return made


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())
