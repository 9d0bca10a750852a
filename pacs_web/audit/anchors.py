"""Anchors: the chain's end, written now and then where the database cannot reach.

A chain whose last rows are cut off is whole in itself; only a note of its end from elsewhere tells.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from pacs_common import kept_files
from pacs_web import config
from pacs_web.audit.models import AuditEvent

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Anchor:
    """When the row `row` was the last, with which digest."""

    at: str
    row: int
    digest: str


def drop_anchor() -> Anchor | None:
    """Note the chain's end, synced, in the anchors' file and in the log; None if it was noted."""
    head = AuditEvent.objects.order_by("-id").values_list("id", "digest").first()
    if head is None:
        return None
    last = last_anchor()
    if last is not None and last.row >= head[0]:
        return None
    anchor = Anchor(timezone.now().isoformat(timespec="seconds"), *head)
    _append(config.AUDIT_ANCHOR_FILE, json.dumps(vars(anchor)).encode() + b"\n")
    LOG.info("the audit's end", extra={"row": anchor.row, "digest": anchor.digest})
    return anchor


def anchors() -> list[Anchor]:
    """Return all anchors, oldest first; raises ValueError where the file is damaged."""
    try:
        lines = config.AUDIT_ANCHOR_FILE.read_text().splitlines()
    except FileNotFoundError:
        return []
    return [_anchor(number, line) for number, line in enumerate(lines, 1) if line]


def last_anchor() -> Anchor | None:
    """Return the newest anchor."""
    found = anchors()
    return found[-1] if found else None


def set_aside_after(row: int) -> list[Anchor]:
    """Take out of the file the anchors of rows after `row`, and return them, oldest first.

    For a database that came back from a backup: the file as it was stays beside the new one.
    """
    found = anchors()
    lost = [one for one in found if one.row > row]
    if lost:
        file = config.AUDIT_ANCHOR_FILE
        aside = file.with_name(f"{file.stem}.before-restore-{timezone.now():%Y%m%dT%H%M%SZ}.jsonl")
        kept = [one for one in found if one.row <= row]
        os.link(file, aside)
        lines = b"".join(json.dumps(vars(one)).encode() + b"\n" for one in kept)
        kept_files.replace(file, lines, 0o640)
    return lost


def _anchor(number: int, line: str) -> Anchor:
    try:
        told = json.loads(line)
        return Anchor(str(told["at"]), int(told["row"]), str(told["digest"]))
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"{config.AUDIT_ANCHOR_FILE}: line {number} cannot be read as an anchor"
        ) from None


def _append(file: Path, line: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        os.write(handle, line)
        os.fdatasync(handle)
    finally:
        os.close(handle)
