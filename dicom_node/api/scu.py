"""The node as SCU for portal and archive, which speak no DIMSE: echo, find, move, get, send.

Peers are named by the AE title under which this node knows them; an address of one's own choice
needs the scope `scu.address` too.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import close_old_connections
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from dicom_node import audit
from dicom_node.api.bodies import body_of
from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.dimse.association import identifiers
from dicom_node.dimse.scu import ask, fetch, remote, send
from dicom_node.dimse.scu.ask import Progress
from dicom_node.dimse.scu.remote import Remote
from dicom_node.forwarding import queue
from dicom_node.index import wanted
from dicom_node.index.attributes import Level
from dicom_node.index.writer import IndexWriter
from dicom_node.ingest.ingest import Ingest
from dicom_node.models import Instance
from dicom_node.peers.peer import ae_title
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, BadInput, NotFound, problem
from pacs_common.uids import Uid

LAYOUT = Layout(CONFIG.data_dir)
DEFAULT_LIMIT, MAX_LIMIT = 200, 5000
MAX_INSTANCES = 10_000
_NAMING = ("study_uid", "series_uid", "instances")
Body = Mapping[str, Any]


@csrf_exempt
@require_POST
@allowed("scu")
def echo(request: HttpRequest) -> JsonResponse:
    """C-ECHO a peer and answer how long it took; 502 with the peer's reason where it fails."""
    peer = _peer(request, body_of(request))
    began = time.monotonic()
    send.echo(peer)
    took_ms = round(1000 * (time.monotonic() - began))
    return JsonResponse({"peer": str(peer), "answered": True, "took_ms": took_ms})


@csrf_exempt
@require_POST
@allowed("scu")
def find(request: HttpRequest) -> JsonResponse:
    """C-FIND a peer and answer in the DICOM JSON model, at most `limit` matches."""
    body = body_of(request)
    peer, level = _peer(request, body), _level(body)
    keys, limit = _texts(body, "keys"), _limit(body)
    matches = ask.find(peer, ask.identifier(level, keys), limit=limit + 1)
    answers = [identifiers.as_json(match) for match in matches]
    _note(request, "C-FIND", peer, level=level, keys=keys, answers=len(answers))
    return JsonResponse({"answers": answers[:limit], "complete": len(answers) <= limit})


@csrf_exempt
@require_POST
@allowed("scu")
def move(request: HttpRequest) -> StreamingHttpResponse:
    """Ask a peer to C-MOVE instances to a destination that it knows (by default this node)."""
    body = body_of(request)
    peer, level, named = _retrieve(request, body)
    destination = ae_title(body.get("destination") or CONFIG.ae_title)
    _note(request, "C-MOVE", peer, level=level, uids=body["uids"], destination=destination)
    return _streamed(ask.move(peer, named, destination))


@csrf_exempt
@require_POST
@allowed("scu")
def get(request: HttpRequest) -> StreamingHttpResponse:
    """Take instances from a peer by C-GET into this node."""
    body = body_of(request)
    peer, level, named = _retrieve(request, body)
    _note(request, "C-GET", peer, level=level, uids=body["uids"])
    return _streamed(fetch.get(peer, named, _ingest()))


@csrf_exempt
@require_POST
@allowed("scu", study_in_body=True)
def send_stored(request: HttpRequest) -> JsonResponse:
    """Put stored instances into the queue to a known destination; 202 with how many."""
    body = body_of(request)
    found = _stored(body)
    for study_uid in _studies(body, found):
        request.ticket.require("scu", study_uid)
    destination = remote.known(ae_title(body.get("destination"))).ae_title
    count = found.count()
    if not count:
        raise NotFound("nothing of that is here")
    queued = queue.enqueue(destination, found.iterator(chunk_size=500), request.ticket.subject)
    audit.note("queued", by=request.ticket.subject, destination=destination, instances=count)
    return JsonResponse(
        {"destination": destination, "instances": count, "queued": queued}, status=202
    )


def _peer(request: HttpRequest, body: Body) -> Remote:
    """Return the peer that a body names; an address is for those who may choose one."""
    if "peer" in body:
        return remote.known(ae_title(body["peer"]))
    request.ticket.require("scu.address")
    host, port = body.get("host"), body.get("port")
    if not isinstance(host, str) or not host or not isinstance(port, int) or not 0 < port < 65536:
        raise BadInput("a peer is named by peer, or by ae_title, host and port")
    calling = ae_title(body.get("calling") or CONFIG.ae_title)
    return Remote(ae_title(body.get("ae_title")), host, port, calling)


def _retrieve(request: HttpRequest, body: Body) -> tuple[Remote, Level, Any]:
    peer, level = _peer(request, body), _level(body)
    return peer, level, ask.retrieve_identifier(level, _texts(body, "uids"))


def _level(body: Body) -> Level:
    try:
        return Level(body.get("level", "STUDY"))
    except ValueError:
        raise BadInput(f"level is not one of {', '.join(Level)}") from None


def _limit(body: Body) -> int:
    limit = body.get("limit", DEFAULT_LIMIT)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MAX_LIMIT:
        raise BadInput(f"limit is not a number from 1 to {MAX_LIMIT}")
    return limit


def _texts(body: Body, name: str) -> dict[str, str]:
    """Return an object of texts; a list of texts becomes one with backslashes."""
    found = {}
    told = body.get(name, {})
    for keyword, value in told.items() if isinstance(told, dict) else [("", None)]:
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in values):
            raise BadInput(f"{name} is not an object of keywords and texts")
        found[keyword] = "\\".join(values)
    return found


def _stored(body: Body) -> QuerySet[Instance]:
    """Return the stored instances that a body names: of a study, of a series, or one by one."""
    if sum(name in body for name in _NAMING) != 1:
        raise BadInput(f"what is sent is named by one of {', '.join(_NAMING)}")
    if "instances" in body:
        uids = body["instances"]
        if not isinstance(uids, list) or not 0 < len(uids) <= MAX_INSTANCES:
            raise BadInput(f"instances is not a list of 1 to {MAX_INSTANCES} UIDs")
        keys = {"SOPInstanceUID": "\\".join(Uid.parse(uid) for uid in uids)}
        return wanted.instances(Level.IMAGE, keys)
    if "series_uid" in body:
        return wanted.instances(Level.SERIES, {"SeriesInstanceUID": Uid.parse(body["series_uid"])})
    return wanted.instances(Level.STUDY, {"StudyInstanceUID": Uid.parse(body["study_uid"])})


def _studies(body: Body, found: QuerySet[Instance]) -> set[str]:
    """Return the studies that a ticket must be good for, whether they are here or not."""
    here = found.order_by().values_list("series__study__uid", flat=True).distinct()
    return {body["study_uid"]} if "study_uid" in body else set(here)


def _streamed(answers: Iterator[Progress]) -> StreamingHttpResponse:
    """Answer one JSON line for each of a peer's answers, after the first one has come."""
    first = next(answers)
    lines = _lines(first, answers)
    return StreamingHttpResponse(lines, content_type="application/x-ndjson")


def _lines(first: Progress, answers: Iterator[Progress]) -> Iterator[bytes]:
    try:
        yield _line(_told(first))
        for progress in answers:
            yield _line(_told(progress))
    except ArgensError as error:
        yield _line({"error": problem(error)})
    finally:
        answers.close()  # a caller that is gone ends the retrieve
        close_old_connections()


def _line(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _told(progress: Progress) -> dict[str, Any]:
    return {
        "status": f"0x{progress.status:04X}",
        "final": progress.is_final,
        "remaining": progress.remaining,
        "completed": progress.completed,
        "failed": progress.failed,
        "warnings": progress.warnings,
        "failed_uids": list(progress.failed_uids),
        "comment": progress.comment,
    }


@functools.cache
def _index() -> IndexWriter:
    """Return this process's own writer, for what C-GET brings."""
    return IndexWriter()


def _ingest() -> Ingest:
    return Ingest(LAYOUT, _index(), CONFIG.reserve_bytes)


def close_ingest() -> None:
    """Write what waits for the index; the next C-GET begins anew."""
    if _index.cache_info().currsize:
        _index().close()
        _index.cache_clear()


def _note(request: HttpRequest, operation: str, peer: Remote, **details: Any) -> None:
    audit.note("asked", by=request.ticket.subject, operation=operation, peer=str(peer), **details)
