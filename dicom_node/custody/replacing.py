"""A node that took the place of a lost one: what it lacks is in the archive, which sees it here.

The mark stands in the node's account (`/api/node`) until the archive has given back all that it
holds. Nothing depends on it but what is told: new objects are taken from the first moment.
"""

from __future__ import annotations

import json
import logging
import uuid
from datetime import UTC, datetime
from typing import Any

from dicom_node import audit
from dicom_node.store.layout import Layout
from pacs_common import kept_files
from pacs_common.errors import NotFound

LOG = logging.getLogger(__name__)
MODE = 0o640


def begin(layout: Layout, now: datetime | None = None) -> dict[str, Any]:
    """Mark the node as one that is to be refilled, durably; a mark that is there stands."""
    mark = {"id": uuid.uuid4().hex, "began_at": (now or datetime.now(UTC)).isoformat()}
    kept_files.write_once(layout.take_over, json.dumps(mark).encode(), MODE)
    return under_way(layout) or mark


def under_way(layout: Layout) -> dict[str, Any] | None:
    """Return the mark, `{"id", "began_at"}`; None where the node lacks nothing that it knows of."""
    try:
        found = json.loads(layout.take_over.read_bytes())
        return {"id": str(found["id"]), "began_at": str(found["began_at"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        LOG.error("take-over.json cannot be read: %s", error)
        return {
            "id": "unreadable",
            "began_at": "",
        }  # to be refilled in vain costs less than not at all


def end(layout: Layout, take_over_id: str, missing: int, by: str) -> bool:
    """Take the mark away, on the archive's word; False where it is gone. Raises NotFound."""
    mark = under_way(layout)
    if mark is None:
        return False
    if mark["id"] != take_over_id:
        raise NotFound("this node was taken over another time")
    audit.note("refilled", by=by, began_at=mark["began_at"], missing_studies=missing)
    layout.take_over.unlink(missing_ok=True)
    return True
