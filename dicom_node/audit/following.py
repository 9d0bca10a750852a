"""Reading the audit trail onwards, oldest first, so that a collector loses no line.

A line's key says where it stands and what it is: `DAY:OFFSET:DIGEST`. The cursor is the place after
the last line given; it is good over restarts of both sides, and as long as the day is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from dicom_node.audit.reading import record_of
from dicom_node.audit.trail import MAX_LINE_BYTES, day_file, days
from pacs_common.errors import BadInput

SETTLED = timedelta(minutes=1)  # a line of 23:59:59 may be written after midnight
MOST_BYTES = 8 << 20
_CURSOR = re.compile(r"(\d{4}-\d{2}-\d{2}):(\d{1,18})\Z")


@dataclass(frozen=True)
class Stretch:
    """Some records with their keys; `next` is where to go on, `more` whether something waits."""

    records: list[dict[str, Any]]
    next: str
    more: bool


def after(folder: Path, cursor: str, limit: int, now: datetime) -> Stretch:
    """Return up to `limit` records that stand after a cursor ("": all)."""
    records: list[dict[str, Any]] = []
    read = 0
    day, offset = _place(cursor)
    for each in days(folder):
        if each < day:
            continue
        start = offset if each == day else 0
        over = _is_over(each, now)
        for place, line in _lines(day_file(folder, each), start, whole=over):
            cursor = f"{each}:{place + len(line)}"
            records.append(_told(each, place, line))
            read += len(line)
            if len(records) == limit or read >= MOST_BYTES:
                return Stretch(records, cursor, True)
        if not over:
            break
        cursor = cursor if cursor.startswith(each) else f"{each}:{start}"
    return Stretch(records, cursor, False)


def _told(day: str, place: int, line: bytes) -> dict[str, Any]:
    """Return a record with its key; a line that was torn is told too, for it stood for an act."""
    key = f"{day}:{place}:{sha256(line).hexdigest()[:12]}"
    record = record_of(line)
    if record is None:
        record = {"at": f"{day}T00:00:00.000+00:00", "kind": "unreadable", "bytes": len(line)}
    return {**record, "key": key}


def _lines(file: Path, start: int, *, whole: bool) -> Iterator[tuple[int, bytes]]:
    """Yield place and bytes of each line; of a day that goes on, only those that are ended."""
    try:
        opened = file.open("rb")
    except FileNotFoundError:
        return  # swept a moment ago
    with opened:
        if start > opened.seek(0, 2):
            start = 0  # another file stands in its place: its keys differ
        opened.seek(start)
        yield from _read(opened, start, whole=whole)


def _read(opened: BinaryIO, place: int, *, whole: bool) -> Iterator[tuple[int, bytes]]:
    while line := opened.readline(2 * MAX_LINE_BYTES):
        if not line.endswith(b"\n") and not whole:
            return
        if line.strip():
            yield place, line
        place += len(line)


def _is_over(day: str, now: datetime) -> bool:
    return now >= datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1) + SETTLED


def _place(cursor: str) -> tuple[str, int]:
    if not cursor:
        return "", 0
    found = _CURSOR.match(cursor)
    if found is None:
        raise BadInput("after is not what an earlier answer gave as next")
    return found[1], int(found[2])
