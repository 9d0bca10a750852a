"""Holds: kept here, told to the node, and told again until it has them."""

from __future__ import annotations

import logging
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from archive_node import trail
from archive_node.models import Hold, StudyFacts
from pacs_common import errors
from pacs_common.node_client import NodeClient
from pacs_common.sentences import say

LOG = logging.getLogger(__name__)
MOST_TOLD = 100  # studies in one scan


def hold(node: str, study_uid: str, kind: str, reason: str, by: str) -> Hold:
    """Return the hold of this kind on a study, made now; raises Conflict where there is one."""
    try:
        with transaction.atomic():
            made = Hold.objects.create(
                node=node, study_uid=study_uid, kind=kind, reason=reason, held_by=by[:200]
            )
            _note("held", by, made)
    except IntegrityError:
        raise errors.Conflict(say("hold-there", hold_kind=kind)) from None
    return made


def release(hold_id: int, by: str) -> Hold:
    """End a hold; raises NotFound, or Conflict where it has ended."""
    with transaction.atomic():
        ended = Hold.objects.filter(id=hold_id, released_at=None).update(
            released_at=timezone.now(), released_by=by[:200]
        )
        row = Hold.objects.filter(id=hold_id).first()
        if row is None:
            raise errors.NotFound(say("hold-unknown", hold=hold_id))
        if ended != 1:
            raise errors.Conflict(say("hold-released", hold=hold_id))
        _note("released", by, row)
    return row


def tell(client: NodeClient) -> None:
    """Tell a node of the holds that it does not have, or has still.

    One that knows no holds (it is older than this archive) goes on without; the archive itself
    refuses to evict what is held. Raises PeerUnreachable.
    """
    for study_uid in _untold(client.name):
        now = timezone.now()
        rows = Hold.objects.filter(node=client.name, study_uid=study_uid)
        standing = rows.filter(released_at=None).order_by("id")
        try:
            client.set_holds(study_uid, [_as_told(row) for row in standing])
        except (errors.NotFound, errors.BadInput) as error:
            LOG.warning("hold not taken: %s", error, extra={"node": client.name})
        else:
            rows.filter(Q(released_at=None, held_at__lte=now) | Q(released_at__lte=now)).update(
                told_at=now
            )


def _untold(node: str) -> list[str]:
    """Return studies of which the node was not told all, or says that it knows nothing.

    In no order: those that cannot be told never stand before the others.
    """
    rows = Hold.objects.filter(node=node)
    untold = rows.filter(Q(told_at=None, released_at=None) | Q(told_at__lt=F("released_at")))
    forgotten = StudyFacts.objects.filter(
        node=OuterRef("node"), study_uid=OuterRef("study_uid"), held=False,
        seen_at__gt=OuterRef("told_at"),
    )  # fmt: skip
    lost = rows.filter(Exists(forgotten), released_at=None)
    uids = (untold | lost).order_by("?").values_list("study_uid", flat=True)
    return list(dict.fromkeys(uids[:MOST_TOLD]))


def _as_told(row: Hold) -> dict[str, Any]:
    return {"kind": row.kind, "reason": row.reason, "by": row.held_by}


def _note(kind: str, by: str, row: Hold) -> None:
    about = {"hold": row.id, "node": row.node, "operation": row.kind, "why": row.reason}
    trail.note(kind, by, **about, study_uid=row.study_uid)
