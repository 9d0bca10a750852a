"""Structured logs: one JSON object a line, with the id of a request, an association or a job.

No patient name in a log line: log UIDs, AE titles and counts, never names or birth dates.
"""

from __future__ import annotations

import contextvars
import json
import logging
import logging.config
import re
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path

trace_id: contextvars.ContextVar[str] = contextvars.ContextVar("trace_id", default="")

JSON, TEXT = "json", "text"  # the forms of PACS_LOG_FORMAT
TRACE_HEADER = "X-Request-Id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9-]{8,64}\Z")
_OWN_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Django adds its request, whose text holds the query: a search may name a patient.
_LEFT_OUT = {"request"}


def trace_of(told: str | None) -> str:
    """Return the id that a caller gave its request, or a new one where it is not well-formed."""
    return told if told and _WELL_FORMED.match(told) else secrets.token_hex(8)


def new_trace(kind: str) -> str:
    """Return an id for what nobody asked for by HTTP: "assoc-0123456789abcdef"."""
    return f"{kind}-{secrets.token_hex(8)}"


class JsonLines(logging.Formatter):
    """Formats a record, and what was passed in `extra`, as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self._fields(record), default=str, ensure_ascii=False)

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
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
        return line


class TextLines(JsonLines):
    """Formats the same for people: time, level, logger, [id], message, field=value; one line.

    What does not fit on it (a line break, an exception's) is written as in JSON.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = self._fields(record)
        told = [fields.pop("at"), fields.pop("level"), fields.pop("logger")]
        told += [f"[{trace}]"] if (trace := fields.pop("trace", None)) else []
        told.append(_one_line(fields.pop("message")))
        return " ".join(map(str, [*told, *(f"{k}={_quoted(v)}" for k, v in fields.items())]))


def _one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else json.dumps(text, ensure_ascii=True)


def _quoted(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=True)


class WithoutProbes(logging.Filter):
    """Passes over that `/readyz` said no: it is asked every few seconds, and says why itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().endswith(": /readyz")


def configuration(
    level: str = "INFO", kept_in: Path | None = None, form: str = JSON
) -> dict[str, object]:
    """Return a `logging.config` dictionary that writes lines to standard error, JSON or text.

    The last of them are kept in a folder too, as JSON (`recent_log`), for whoever asks the role.
    """
    kept: dict[str, object] = {
        "class": "pacs_common.recent_log.RecentLines", "folder": kept_in, "formatter": "json"
    }  # fmt: skip
    handlers = ["stderr"] if kept_in is None else ["stderr", "kept"]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {JSON: {"()": JsonLines}, TEXT: {"()": TextLines}},
        "filters": {"without probes": {"()": WithoutProbes}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": form},
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
