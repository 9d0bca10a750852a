"""What lossless JPEG saves on this node's disk, or would save: measured, frame by frame."""

from __future__ import annotations

from typing import Any

from django.db.models import Sum

from dicom_node.config import CONFIG
from dicom_node.models import Preparation

_COUNTED = ("images", "original_bytes", "rendition_bytes", "saved_bytes")


def account() -> dict[str, Any]:
    """Return what was counted over all prepared studies, and what the node does with it.

    `original_bytes` and `rendition_bytes` are those of the frames that shrank; `saved_bytes` are
    those that files stored compressed no longer take.
    """
    sums = Preparation.objects.aggregate(**{name: Sum(name, default=0) for name in _COUNTED})
    return {"mode": str(CONFIG.renditions), **sums}
