"""Jobs: list them, ask for one, try one again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, JsonResponse

from archive_node import trail
from archive_node.api.guard import body, ticketed
from archive_node.jobs import dispatch, states
from archive_node.models import Job
from archive_node.nodes import names
from pacs_common import errors
from pacs_common.tickets import Ticket
from pacs_common.uids import Uid

MOST = 1000


def as_json(job: Job) -> dict[str, Any]:
    """Return a job as docs/interfaces.md shows it."""
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "node": job.node,
        "study_uid": job.study_uid,
        "requested_by": job.requested_by,
        "attempts": job.attempts,
        "error": job.error,
        "progress": {
            "instances_done": job.instances_done,
            "instances_total": job.instances_total,
            "bytes_done": job.bytes_done,
            "bytes_total": job.bytes_total,
        },
        "created_at": job.created_at.isoformat(),
        "updated_at": job.updated_at.isoformat(),
    }


@ticketed(GET="archive.read", POST=("archive.operate", "archive.recall"))
def jobs(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List jobs, newest first, or ask for one."""
    if request.method == "POST":
        return _ask(ticket, body(request))
    chosen = Job.objects.order_by("-id")
    for field, value in _filters(request.GET).items():
        chosen = chosen.filter(**{field: value})
    limit = _limit(request.GET.get("limit", "100"))
    return JsonResponse({"jobs": [as_json(job) for job in chosen[:limit]]})


@ticketed(GET="archive.read")
def job(request: HttpRequest, ticket: Ticket, job_id: int) -> JsonResponse:
    """Show one job."""
    return JsonResponse({"job": as_json(_found(job_id))})


@ticketed(POST="archive.operate")
def retry(request: HttpRequest, ticket: Ticket, job_id: int) -> JsonResponse:
    """Queue a failed job again."""
    again = states.retry(_found(job_id), ticket.subject)
    dispatch.send(again.id)
    return JsonResponse({"job": as_json(again)}, status=202)


def _filters(asked: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, choices in (("state", Job.State.values), ("kind", Job.Kind.values)):
        if asked.get(name):
            if asked[name] not in choices:
                raise errors.BadInput(f"{name} is one of {', '.join(choices)}")
            found[name] = asked[name]
    if asked.get("study"):
        found["study_uid"] = Uid.parse(asked["study"], "study")
    return found


def _ask(ticket: Ticket, wanted: dict[str, Any]) -> JsonResponse:
    kind, node = str(wanted.get("kind")), str(wanted.get("node"))
    if kind not in Job.Kind.values:
        raise errors.BadInput(f"kind is one of {', '.join(Job.Kind.values)}")
    if node not in names():
        raise errors.BadInput(f"no node is called {node[:40]!r} here")
    study_uid = Uid.parse(wanted.get("study_uid"), "study_uid")
    recall_suffices = kind == Job.Kind.RECALL and "archive.recall" in ticket.scopes
    ticket.require("archive.recall" if recall_suffices else "archive.operate", study_uid)
    requested_by = _printable(str(wanted.get("requested_by") or ticket.subject))
    made, new = dispatch.request(kind, node, study_uid, requested_by)
    about = {"job": made.id, "operation": kind, "node": node, "new": new}
    trail.note("asked", requested_by, **about, study_uid=study_uid)
    return JsonResponse({"job": as_json(made)}, status=202)


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())


def _found(job_id: int) -> Job:
    found = Job.objects.filter(id=job_id).first()
    if found is None:
        raise errors.NotFound(f"there is no job {job_id}")
    return found


def _limit(text: str) -> int:
    if len(text) > len(str(MOST)) or not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise errors.BadInput(f"limit is a number from 1 to {MOST}")
    return int(text)
