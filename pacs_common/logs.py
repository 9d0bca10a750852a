"""Structured logs: one JSON object a line, with a request or association id.

No patient name in a log line: log UIDs, AE titles and counts, never names or birth dates.
"""

from __future__ import annotations

import contextvars
import json
import logging
import logging.config
import sys
from datetime import UTC, datetime
from pathlib import Path

trace_id: contextvars.ContextVar[str] = contextvars.ContextVar("trace_id", default="")

_OWN_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Django adds its request, whose text holds the query: a search may name a patient.
_LEFT_OUT = {"request"}


class JsonLines(logging.Formatter):
    """Formats a record, and what was passed in `extra`, as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace_id.get():
            line["trace"] = trace_id.get()
        added = {k: v for k, v in vars(record).items() if k not in _OWN_FIELDS | _LEFT_OUT}
        line.update({k: v for k, v in added.items() if k not in line})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class WithoutProbes(logging.Filter):
    """Passes over that `/readyz` said no: it is asked every few seconds, and says why itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().endswith(": /readyz")


def configuration(level: str = "INFO", kept_in: Path | None = None) -> dict[str, object]:
    """Return a `logging.config` dictionary that writes JSON lines to standard error.

    The last of them are kept in a folder too (`recent_log`), for whoever asks the role.
    """
    kept: dict[str, object] = {
        "class": "pacs_common.recent_log.RecentLines", "folder": kept_in, "formatter": "json"
    }  # fmt: skip
    handlers = ["stderr"] if kept_in is None else ["stderr", "kept"]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "filters": {"without probes": {"()": WithoutProbes}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "json"},
            **({} if kept_in is None else {"kept": kept}),
        },
        "root": {"level": level, "handlers": handlers},
        "loggers": {
            "django.request": {"filters": ["without probes"]},
            "httpx": {"level": "WARNING"},
            "pynetdicom": {"level": "WARNING"},
            # What these two say the caller is told, and it may hold a patient's data.
            "pynetdicom.association": {"level": "CRITICAL"},
            "pynetdicom.dsutils": {"level": "CRITICAL"},
        },
    }
