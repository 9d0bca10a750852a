"""Brings a study from a DIMSE-only PACS to its landing node, and notes how far that is.

A thread follows the C-MOVE, whose progress the node streams. Its row is the claim: one thread
follows a study, whichever process the browser asks; a row that nobody renews is free again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from datetime import timedelta
from threading import Thread
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from pacs_common.errors import ArgensError
from pacs_web.federation import locate
from pacs_web.nodes import registry
from pacs_web.nodes.models import Fetch, Kind, Node
from pacs_web.nodes.servers.dimse import DimseServer

LOG = logging.getLogger(__name__)
SILENT = timedelta(seconds=150)  # longer than a node waits for one answer of its peer
NOTED_EVERY_S = 1.0
SUCCESS = "0x0000"


def source_of(names: Collection[str]) -> Node | None:
    """Return the PACS from which a study that lies on these servers can be brought, or None."""
    rows = Node.objects.filter(name__in=names, kind=Kind.DIMSE, enabled=True)
    return rows.select_related("through").first()


def latest(study_uid: str, source: Node) -> Fetch | None:
    """Return the last fetch of a study; one whose process died has failed."""
    found = Fetch.objects.filter(study_uid=study_uid, node=source).first()
    if found and found.state == Fetch.State.RUNNING and found.changed_at < timezone.now() - SILENT:
        found.state, found.error = Fetch.State.FAILED, "nothing was heard of it any more"
    return found


def begin(study_uid: str, source: Node, subject: str) -> bool:
    """Claim the study's row and follow its C-MOVE in a thread; False where another does."""
    now = timezone.now()
    fresh: dict[str, Any] = {
        "state": Fetch.State.RUNNING,
        "asked_by": subject,
        "changed_at": now,
        **dict.fromkeys(("completed", "remaining", "failed"), 0),
        "error": "",
    }
    row, is_new = Fetch.objects.get_or_create(study_uid=study_uid, node=source, defaults=fresh)
    if not is_new:
        free = ~Q(state=Fetch.State.RUNNING) | Q(changed_at__lt=now - SILENT)
        claimed = Fetch.objects.filter(free, pk=row.pk, changed_at=row.changed_at).update(**fresh)
        if not claimed:
            return False
    server = registry.dimse_client(source, subject, registry.STREAM_READ_S)
    Thread(target=_followed, args=(row.pk, study_uid, server), daemon=True).start()
    return True


def _followed(pk: int, study_uid: str, server: DimseServer) -> None:
    try:
        follow(pk, study_uid, server)
    finally:
        connection.close()


def follow(pk: int, study_uid: str, server: DimseServer) -> None:
    """Let the PACS send the study, and note its progress and its end in the row."""
    end: dict[str, Any] = {"state": Fetch.State.FAILED, "error": "the portal failed; see its log"}
    noted = 0.0
    try:
        for told in server.fetch(study_uid):
            counts = {
                name: int(told.get(name) or 0) for name in ("completed", "remaining", "failed")
            }
            if told.get("final"):
                end = _ended(told)
                counts["completed"] += int(told.get("warnings") or 0)
                end |= {**counts, "remaining": 0}
            elif time.monotonic() - noted >= NOTED_EVERY_S:
                noted = time.monotonic()
                Fetch.objects.filter(pk=pk).update(changed_at=timezone.now(), **counts)
    except ArgensError as error:
        end = {"state": Fetch.State.FAILED, "error": str(error)}
    finally:
        locate.forget(study_uid)
        Fetch.objects.filter(pk=pk).update(changed_at=timezone.now(), **end)
        LOG.info("a fetch ended", extra={"study": study_uid, "state": str(end["state"])})


def _ended(told: dict[str, Any]) -> dict[str, Any]:
    if told.get("status") == SUCCESS and not told.get("failed"):
        return {"state": Fetch.State.DONE, "error": ""}
    said = filter(None, [str(told.get("status", "")), str(told.get("comment", ""))])
    return {"state": Fetch.State.FAILED, "error": " ".join(said)}
