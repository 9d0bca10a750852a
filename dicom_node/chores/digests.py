"""Digests off the ingest path: of the stored file and of the decoded pixels (custody rule 4)."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from dicom_node.chores.lanes import GoesOn
from dicom_node.index import changes
from dicom_node.models import Instance
from dicom_node.render.pixels import pixel_sha256
from dicom_node.store import part10, verified
from dicom_node.store.layout import Layout
from dicom_node.store.verified import Identity
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
BATCH_INSTANCES = 25
QUIET = timedelta(seconds=1)  # without an arrival
PATIENCE_S, POLL_S = 5.0, 0.2


def waits() -> bool:
    """Whether an instance has no digests yet."""
    return Instance.every.filter(stored_sha256="", damaged=False).exists()


def compute_all(layout: Layout, goes_on: GoesOn) -> None:
    """Give digests until none waits, none can be read or the node stops.

    While objects arrive it takes one batch now and then: the processors are the arrivals'.
    """
    while goes_on():
        let_arrivals_pass(goes_on)
        if not compute(layout, goes_on):
            return


def compute(layout: Layout, goes_on: GoesOn = lambda: True) -> int:
    """Give some instances their digests and return how many; 0 when none waits or can be read.

    The data set is hashed again on the way: a file that is no longer what arrived is flagged as
    damaged and never copied or evicted.
    """
    waiting = Instance.every.filter(stored_sha256="", damaged=False).order_by("id")
    settled = []
    for row in waiting[:BATCH_INSTANCES]:
        if not goes_on():
            break
        if found := _found(row, layout.object(row.hour, row.uid)):
            settled.append((row.id, found))
    with transaction.atomic():  # one turn at the index for all, which arrivals wait for
        changes.note_instances(number for number, _ in settled)
        for number, found in settled:
            Instance.every.filter(id=number, stored_sha256="").update(**found)
    return len(settled)


def let_arrivals_pass(goes_on: GoesOn) -> None:
    """Wait until nothing has arrived for a moment, but not for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while goes_on() and time.monotonic() < deadline:
        newest = Instance.every.order_by("-id").values_list("arrived_at", flat=True).first()
        if newest is None or timezone.now() - newest > QUIET:
            return
        time.sleep(POLL_S)


def _found(instance: Instance, path: Path) -> dict[str, object]:
    """Return what settles the instance, its digests or that it is damaged; {} to try again."""
    try:
        before, began_at = Identity.of(path.stat()), time.time()
        received, stored = part10.stored_digests(path)
        if received != instance.received_sha256:
            raise ArgensError("the file is not what arrived")
        return {
            "stored_sha256": stored,
            "pixel_sha256": pixel_sha256(part10.read_object(path)),
            "verified": verified.mark(before, Identity.of(path.stat()), began_at, time.time()),
        }
    except (ArgensError, FileNotFoundError) as error:
        LOG.critical("damaged object: %s", error, extra={"sop_instance_uid": instance.uid})
    except OSError as error:  # it may pass: too many open files, a mount that is away
        LOG.error("not read: %s", error, extra={"sop_instance_uid": instance.uid})
        return {}
    except Exception:  # the node's job runner: one object must not stop the digests of all others
        LOG.exception("no digest", extra={"sop_instance_uid": instance.uid})
    return {"damaged": True}
