"""Volumes, what lies on them, and what operators do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.http import HttpRequest, JsonResponse

from archive_node import alarms, library, trail
from archive_node.api import holds
from archive_node.api.asked import page
from archive_node.api.guard import body, ticketed
from archive_node.api.job_json import all_as_json, as_json, iso
from archive_node.api.jobs import for_volume
from archive_node.jobs import dispatch, mounts, retirement
from archive_node.models import Copy, Job
from archive_node.steps import suspicion
from archive_node.vault.base import Vault, Volume, VolumeState
from pacs_common import errors
from pacs_common.sentences import say
from pacs_common.tickets import Ticket
from pacs_common.uids import Uid

MOST_JOBS = 100
_WRITTEN = ["scrub", "suspect", "shelve", "evacuate", "retire"]
_NOT_ON_THE_SHELF = {"scrub", "shelve", "evacuate"}
_ACTIONS = {
    VolumeState.SCRATCH: ["suspect", "shelve", "retire"],
    VolumeState.FILLING: _WRITTEN,
    VolumeState.FULL: _WRITTEN,
    VolumeState.SUSPECT: ["scrub", "trust", "shelve", "evacuate", "retire"],
    VolumeState.EXPORTED: ["suspect", "retire"],
    VolumeState.RETIRED: [],
}
_ALL = {"insert"}.union(*_ACTIONS.values())


@ticketed(GET="archive.read")
def volumes(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List the volumes of all vaults that answer, by vault and label."""
    found, missing = library.answering()
    listed = [row for vault in found for row in _listed(vault, vault.volumes())]
    return JsonResponse({"volumes": listed, "missing": missing})


@ticketed(GET="archive.read")
def volume(request: HttpRequest, ticket: Ticket, vault: str, label: str) -> JsonResponse:
    """Show one volume and the copies on it, in the order of the tape."""
    kept = library.vault(vault)
    found = _found(kept, label)
    copies = Copy.objects.filter(vault=vault, volume=label).order_by("written_at", "id")
    told = [_copy(copy) for copy in page(copies, request.GET)]
    (shown,) = _listed(kept, [found])
    return JsonResponse({"volume": shown, "copies": told, "total": copies.count()})


@ticketed(POST="archive.operate")
def act(request: HttpRequest, ticket: Ticket, vault: str, label: str, action: str) -> JsonResponse:
    """Do something with a volume, as far as its state allows it."""
    kept = library.vault(vault)
    found = _found(kept, label)
    if action not in _ALL:
        raise errors.NotFound(f"no action is called {action[:20]!r}")
    if action not in actions_with(found):
        told = {"volume": label, "volume_state": found.state, "volume_act": action}
        raise errors.Conflict(say("volume-in-state", **told))
    by = ticket.subject
    if action in Job.Kind.values:
        return JsonResponse({"job": as_json(for_volume(action, vault, label, by))}, status=202)
    if action == "insert":
        put_in(vault, label, body(request), by)
    else:
        _DONE[action](kept, label, by)
    (shown,) = _listed(kept, [_found(kept, label)])
    return JsonResponse({"volume": shown})


def actions_with(found: Volume) -> list[str]:
    """Return what can be done with a volume as it is."""
    actions = _ACTIONS[found.state]
    if found.state == VolumeState.RETIRED or not mounts.is_shelved(found):
        return actions
    return [each for each in ["insert", *actions] if each not in _NOT_ON_THE_SHELF]


def put_in(vault: str, label: str, told: dict[str, Any], by: str) -> int:
    """Take a volume back from the shelf, given a barcode; return how many jobs it wakes."""
    barcode, drive = told.get("barcode"), told.get("drive")
    if not isinstance(barcode, str) or type(drive) not in (int, type(None)):
        raise errors.BadInput("barcode is a text, drive a number or nothing")
    woken = mounts.insert(vault, label, barcode, drive, by)
    dispatch.send_due()
    return woken


@ticketed(GET="archive.read")
def study(request: HttpRequest, ticket: Ticket, study_uid: str) -> JsonResponse:
    """Show a study's copies, holds and jobs (none where the archive does not know it)."""
    uid = Uid.parse(study_uid, "study UID")
    copies = Copy.objects.filter(study_uid=uid).order_by("written_at", "id")
    jobs = Job.objects.filter(study_uid=uid).order_by("-id")[:MOST_JOBS]
    return JsonResponse(
        {
            "study_uid": uid,
            "copies": [_copy(copy) for copy in copies],
            "holds": holds.of_study(uid),
            "jobs": all_as_json(list(jobs)),
        }
    )


def _found(vault: Vault, label: str) -> Volume:
    for found in vault.volumes():
        if found.label == label:
            return found
    raise errors.NotFound(say("volume-unknown", vault=vault.name, volume=label[:40]))


def _suspect(vault: Vault, label: str, by: str) -> None:
    vault.mark(label, VolumeState.SUSPECT)
    trail.note("volume-suspected", by, vault=vault.name, volume=label)


def _trust(vault: Vault, label: str, by: str) -> None:
    vault.mark(label, None)
    alarms.end_alarm(suspicion.KIND, f"{vault.name}/{label}")
    trail.note("volume-trusted", by, vault=vault.name, volume=label)


def _shelve(vault: Vault, label: str, by: str) -> None:
    vault.shelve(label)
    trail.note("volume-shelved", by, vault=vault.name, volume=label)


def _retire(vault: Vault, label: str, by: str) -> None:
    retirement.retire(vault.name, label, by)
    alarms.end_alarm(suspicion.KIND, f"{vault.name}/{label}")


_DONE: dict[str, Callable[[Vault, str, str], None]] = {
    "suspect": _suspect,
    "trust": _trust,
    "shelve": _shelve,
    "retire": _retire,
}


def _listed(vault: Vault, found: list[Volume]) -> Iterator[dict[str, Any]]:
    written = {row["volume"]: row for row in _written(vault.name, [one.label for one in found])}
    for one in found:
        row: dict[str, Any] = written.get(one.label, {})
        whole = row.get("good") and row["good"] == row["scrubbed"]
        yield {
            "label": one.label,
            "vault": vault.name,
            "state": one.state,
            "used_bytes": one.used_bytes,
            "capacity_bytes": one.capacity_bytes,
            "copies": row.get("copies", 0),
            "bad_copies": row.get("bad", 0),
            "first_written_at": iso(row.get("first")),
            "last_written_at": iso(row.get("last")),
            "scrubbed_at": iso(row["scrubbed_at"]) if whole else None,
            "drive": one.drive,
            "slot": one.slot,
            "actions": actions_with(one),
        }


def _written(vault: str, labels: list[str]):
    """Return what the catalogue has of each volume; `scrubbed_at` is of the copy read first."""
    good = Q(bad_since=None)
    copies = Copy.objects.filter(vault=vault)
    if len(labels) == 1:
        copies = copies.filter(volume=labels[0])
    return copies.values("volume").annotate(
        copies=Count("id"),
        bad=Count("id", filter=~good),
        good=Count("id", filter=good),
        scrubbed=Count("scrubbed_at", filter=good),
        scrubbed_at=Min("scrubbed_at", filter=good),
        first=Min("written_at"),
        last=Max("written_at"),
    )


def _copy(copy: Copy) -> dict[str, Any]:
    return {
        "node": copy.node,
        "study_uid": copy.study_uid,
        "vault": copy.vault,
        "volume": copy.volume,
        "member": copy.member,
        "revision": copy.revision,
        "instances": copy.instances,
        "size_bytes": copy.size_bytes,
        "key_id": copy.key_id,
        "written_at": iso(copy.written_at),
        "verified_at": iso(copy.verified_at),
        "scrubbed_at": iso(copy.scrubbed_at),
        "problem": copy.problem,
    }
