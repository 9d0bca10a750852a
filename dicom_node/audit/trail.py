"""The audit trail: one JSON line for each act, `<data>/audit/YYYY-MM-DD.jsonl` (UTC).

A line may hold query keys, and so patients' names: that is its purpose; the logs hold none.
Lines are not synced one by one: a power cut may cost the last seconds.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dicom_node.config import CONFIG
from dicom_node.store.layout import Layout
from pacs_common.logs import trace_id

LOG = logging.getLogger(__name__)
MAX_TEXT = 1024
MAX_ITEMS = 100
MAX_DEPTH = 4
MAX_LINE_BYTES = 64 << 10
MODE = 0o640


def note(kind: str, **details: Any) -> bool:
    """Add one line with the time, its kind and the details; return whether it was written.

    Within a request, an association or a chore, the line has its id (`trace`), as the log has.
    Care goes on where it cannot be written: the failure is logged, nothing is raised.
    """
    now = datetime.now(UTC)
    if trace_id.get():
        details.setdefault("trace", trace_id.get())
    file = day_file(Layout(CONFIG.data_dir).audit, f"{now:%Y-%m-%d}")
    try:
        _append(file, _line(now, kind, details))
    except OSError as error:
        LOG.error("the audit cannot be written: %s", error.strerror, extra={"kind": kind})
        return False
    return True


def day_file(folder: Path, day: str) -> Path:
    """Return the file of a day "YYYY-MM-DD"."""
    return folder / f"{day}.jsonl"


def days(folder: Path) -> list[str]:
    """Return the days that have a file, oldest first."""
    return sorted(file.stem for file in folder.glob("[0-9]*-[0-9]*-[0-9]*.jsonl"))


def sweep(folder: Path, keep_days: int, now: datetime) -> int:
    """Remove the files of days that are more than `keep_days` ago; return how many."""
    oldest = f"{now - timedelta(days=keep_days):%Y-%m-%d}"
    gone = [day for day in days(folder) if day < oldest]
    try:
        for day in gone:
            day_file(folder, day).unlink(missing_ok=True)
    except OSError as error:
        LOG.error("old audit cannot be removed: %s", error.strerror)
    return len(gone)


def _line(now: datetime, kind: str, details: Mapping[str, Any]) -> bytes:
    head = {"at": now.isoformat(timespec="milliseconds"), "kind": kind}
    line = _encoded(head | {key: _bounded(value, MAX_DEPTH) for key, value in details.items()})
    if len(line) <= MAX_LINE_BYTES:
        return line
    plain = {k: _bounded(v, 0) for k, v in details.items() if not isinstance(v, Mapping)}
    line = _encoded(head | plain | {"shortened": True})
    return line if len(line) <= MAX_LINE_BYTES else _encoded(head | {"shortened": True})


def _encoded(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode("ascii") + b"\n"  # controls and all but ASCII are escaped


def _bounded(value: Any, depth: int) -> Any:
    """Return a value that JSON can hold, its texts, lists and nesting cut to their bounds."""
    if value is None or isinstance(value, bool | int) or _is_finite(value):
        return value
    if isinstance(value, Mapping) and depth:
        pairs = list(_first(value.items()))
        shown = {str(key)[:MAX_TEXT]: _bounded(one, depth - 1) for key, one in pairs}
        rest = len(value) - len(pairs)
        return shown | {"...": f"and {rest} more"} if rest else shown
    if isinstance(value, list | tuple | set | frozenset) and depth:
        items = [_bounded(one, depth - 1) for one in _first(value)]
        left = len(value) - len(items)
        return [*items, f"and {left} more"] if left else items
    text = str(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)  # JSON has no other


def _first(values: Any) -> Iterator[Any]:
    for number, value in enumerate(values):
        if number == MAX_ITEMS:
            return
        yield value


def _append(file: Path, line: bytes) -> None:
    """Write a line by one call, so that the processes' lines never mix."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
    except FileNotFoundError:
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
    try:
        written = os.write(handle, line)
        if written < len(line):  # the disk took a part: end it, so that the next line is whole
            os.write(handle, b"\n")
            raise OSError(0, "only a part of the line was taken")
    finally:
        os.close(handle)
