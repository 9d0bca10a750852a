"""Whether anybody does the node's chores: one process does, and holds a lock while it lives."""

from __future__ import annotations

import fcntl
import os

from dicom_node.store.layout import Layout


def is_held(layout: Layout) -> bool:
    """Whether a living process holds the lock of the chores."""
    try:
        handle = os.open(layout.chores_lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
