"""The last lines of a role's log, kept beside its data: what IT reads without going to the machine.

All processes of the role append to `recent.jsonl`; when it is full it becomes `before.jsonl` and
a new one begins, so two files of bounded size hold the newest lines. The whole log goes to
standard error, as ever; losing a line here loses nothing.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pacs_common.errors import BadInput

MAX_BYTES = 1 << 20  # of each of the two files
MOST_LINES, MOST_WORDS = 1000, 200
RECENT, BEFORE, LOCK = "recent.jsonl", "before.jsonl", "recent.lock"
LEVELS = {"INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}
MODE = 0o640


class RecentLines(logging.Handler):
    """Appends formatted records to a folder's newest file; a folder that is away is no error."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        super().__init__()
        self._folder, self._max_bytes = folder, max_bytes
        self._file = -1

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
            if self._file < 0 or os.fstat(self._file).st_nlink == 0:
                self._open()
            elif os.fstat(self._file).st_size + len(line) > self._max_bytes:
                self._begin_anew()
            os.write(self._file, line)
        except OSError:
            pass  # standard error has the line
        except Exception:  # whoever logs goes on, as with the library's own handlers
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        self.acquire()
        try:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
        finally:
            self.release()
        super().close()

    def _open(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._folder / RECENT, flags, MODE)

    def _begin_anew(self) -> None:
        """Move the full file away, unless another process has done so."""
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            recent = self._folder / RECENT
            if recent.exists() and os.path.samestat(recent.stat(), os.fstat(self._file)):
                recent.rename(self._folder / BEFORE)
            self._open()
        finally:
            os.close(lock)


def answered(folder: Path, asked: Mapping[str, str]) -> dict[str, Any]:
    """Answer a query of `limit`, `level` and `words` as {"lines": [...]}, newest first.

    Of an exception only its kind is told, for what it says may quote an object. Raises BadInput.
    """
    limit, level = asked.get("limit", "200"), asked.get("level", "INFO")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_LINES):
        raise BadInput(f"limit is a number from 1 to {MOST_LINES}")
    if level not in LEVELS:
        raise BadInput(f"level is one of {', '.join(LEVELS)}")
    words = asked.get("words", "")[:MOST_WORDS].casefold()
    found: list[dict[str, Any]] = []
    for line in _newest_first(folder):
        record = _parsed(line)
        if record is None or _number(record["level"]) < LEVELS[level]:
            continue
        if words in json.dumps(record, ensure_ascii=False).casefold():
            found.append(record)
            if len(found) >= int(limit):
                break
    return {"lines": found}


def _newest_first(folder: Path) -> Iterator[str]:
    for name in (RECENT, BEFORE):
        try:
            content = (folder / name).read_text("utf-8", "replace")
        except OSError:
            continue
        yield from reversed(content.split("\n"))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level, logging.ERROR)


def _parsed(line: str) -> dict[str, Any] | None:
    """Return a line's record; None for one that is torn or not ours."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("level"), str):
        return None
    if "exception" in record:
        last = str(record["exception"]).rstrip().rsplit("\n", 1)[-1]
        record["exception"] = last.partition(":")[0][:200]
    return record
