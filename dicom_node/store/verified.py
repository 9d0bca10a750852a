"""What a stored file was when its content was held against its digest, and for how long that holds.

Whoever changes a file gives it another change time (ctime), which no program can set back: as long
as the identity is the same, so are the bytes. A disk that loses bits by itself changes none of it,
so each verdict ages.
"""

from __future__ import annotations

import os
from typing import NamedTuple

BELIEVED_S = 7 * 86400.0
SETTLED_S = 0.1  # a clock of files may tick so rarely: what changed just now may change unseen


class Identity(NamedTuple):
    """What tells a file from any other, and from itself before or after a change."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Return the identity that a file's status tells."""
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


def mark(before: Identity, after: Identity, began_at: float, now: float) -> str | None:
    """Return what is remembered of a file that was hashed since `began_at` and is what it must be.

    None where it may have changed meanwhile: then nothing is remembered.
    """
    if before != after or began_at - before.changed_ns / 1e9 < SETTLED_S:
        return None
    return " ".join(map(str, (*before, int(now))))


def believed_at(marked: str | None, identity: Identity, now: float) -> float | None:
    """Return when a file of this identity was verified, by its mark; None: it must be hashed."""
    told, _, at = (marked or "").rpartition(" ")
    if told != " ".join(map(str, identity)):
        return None
    return float(at) if is_fresh(float(at), now) else None


def is_fresh(at: float, now: float) -> bool:
    """Whether a verdict of then still holds; one from the future does not."""
    return 0 <= now - at < BELIEVED_S
