"""What volumes and members may be called: the only names that become paths or keys."""

from __future__ import annotations

import re

from pacs_common import errors

LABEL = re.compile(r"A[0-9]{5}\Z")
_MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+\.tar\Z")
_LONGEST = 512  # characters; an object's key in S3 has 1024 bytes


def checked(member: str) -> str:
    """Return a member's name; raises BadInput where it could lead out of its volume."""
    if not _MEMBER.match(member) or len(member) > _LONGEST:
        raise errors.BadInput(f"{member[:80]!r} is no name of a member")
    return member


def label_after(labels: list[str]) -> str:
    """Return the label that follows the highest of `labels`."""
    return f"A{max((int(label[1:]) for label in labels), default=0) + 1:05}"
