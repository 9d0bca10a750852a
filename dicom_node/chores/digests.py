"""Digests off the ingest path: of the stored file and of the decoded pixels (custody rule 4)."""

from __future__ import annotations

import logging
from pathlib import Path

from dicom_node.models import Instance
from dicom_node.render.pixels import pixel_sha256
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
BATCH_INSTANCES = 100


def compute(layout: Layout) -> int:
    """Give some instances their digests and return how many; 0 when none waits or can be read.

    The data set is hashed again on the way: a file that is no longer what arrived is flagged as
    damaged and never copied or evicted.
    """
    waiting = Instance.objects.filter(stored_sha256="", damaged=False).order_by("id")
    rows = list(waiting[:BATCH_INSTANCES])
    return sum(_compute_one(row, layout.object(row.hour, row.uid)) for row in rows)


def _compute_one(instance: Instance, path: Path) -> bool:
    """Return whether the instance was settled: digested, or flagged as damaged."""
    changes: dict[str, object]
    try:
        received, stored = part10.stored_digests(path)
        if received != instance.received_sha256:
            raise ArgensError("the file is not what arrived")
        changes = {
            "stored_sha256": stored,
            "pixel_sha256": pixel_sha256(part10.read_object(path)),
        }
    except (ArgensError, FileNotFoundError) as error:
        LOG.critical("damaged object: %s", error, extra={"sop_instance_uid": instance.uid})
        changes = {"damaged": True}
    except OSError as error:  # it may pass: too many open files, a mount that is away
        LOG.error("not read: %s", error, extra={"sop_instance_uid": instance.uid})
        return False
    except Exception:  # the node's job runner: one object must not stop the digests of all others
        LOG.exception("no digest", extra={"sop_instance_uid": instance.uid})
        changes = {"damaged": True}
    Instance.objects.filter(id=instance.id, stored_sha256="").update(**changes)
    return True
