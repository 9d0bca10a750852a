"""Reading the audit trail, newest first, page by page, without holding a day in memory."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_node.audit.trail import MAX_LINE_BYTES, day_file, days
from pacs_common.errors import BadInput

BLOCK_BYTES = 256 << 10
MOST_BYTES = 64 << 20  # read for one page; a rare kind goes on where it stopped
_CURSOR = re.compile(r"(\d{4}-\d{2}-\d{2}):(\d{1,18})\Z")


@dataclass(frozen=True)
class Page:
    """Some records, newest first; `next` reads on towards the past, None at the beginning."""

    records: list[dict[str, Any]]
    next: str | None


def page(folder: Path, *, since: str = "", kind: str = "", limit: int, before: str = "") -> Page:
    """Return up to `limit` records of `kind` that are no older than `since` (ISO 8601, UTC)."""
    records: list[dict[str, Any]] = []
    seen = 0
    for day, offset, line in _lines(folder, before):
        seen += len(line) + 1
        record = record_of(line)
        if record is not None and record["at"] < since:
            return Page(records, None)
        if record is not None and kind in ("", record["kind"]):
            records.append(record)
        if len(records) == limit or seen >= MOST_BYTES:
            return Page(records, f"{day}:{offset}")
    return Page(records, None)


def _lines(folder: Path, before: str) -> Iterator[tuple[str, int, bytes]]:
    """Yield day, offset and content of each line before a cursor, the newest first."""
    last_day, end = _cursor(before)
    for day in reversed(days(folder)):
        if last_day and day > last_day:
            continue
        file = day_file(folder, day)
        for offset, line in _backwards(file, end if day == last_day else None):
            yield day, offset, line


def _backwards(file: Path, end: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield offset and content of a file's lines, the last first; an overlong one in pieces."""
    try:
        handle = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return  # swept a moment ago
    try:
        position = min(os.fstat(handle).st_size, end if end is not None else 1 << 62)
        rest = b""
        while position > 0:
            length = min(BLOCK_BYTES, position)
            position -= length
            block = os.pread(handle, length, position) + rest
            first, *lines = block.split(b"\n")
            offset = position + len(block)
            for line in reversed(lines):
                offset -= len(line)
                if line:
                    yield offset, line
                offset -= 1
            rest = first if len(first) <= 2 * MAX_LINE_BYTES else b""
        if rest:
            yield 0, rest
    finally:
        os.close(handle)


def record_of(line: bytes) -> dict[str, Any] | None:
    """Return what a line says; None where it was torn by a full disk or a power cut."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and {"at", "kind"} <= set(record)
    return record if whole and isinstance(record["at"], str) else None


def _cursor(text: str) -> tuple[str, int | None]:
    if not text:
        return "", None
    found = _CURSOR.match(text)
    if found is None:
        raise BadInput("before is not what an earlier page gave as next")
    return found[1], int(found[2])
