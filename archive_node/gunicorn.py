"""Gunicorn's settings."""

from __future__ import annotations

from typing import Any

from archive_node.config import CONFIG
from pacs_common import logs

_LOGGERS = logs.configuration(CONFIG.log_level, CONFIG.log_dir, CONFIG.log_format)
_GUNICORN = {"level": CONFIG.log_level, "handlers": ["stderr"], "propagate": False}

SETTINGS: dict[str, Any] = {
    "proc_name": "argens: manage.py archive http",
    "bind": f"{CONFIG.http_bind}:{CONFIG.http_port}",
    "worker_class": "gthread",
    "workers": 2,
    "threads": 8,
    "timeout": 60,
    "keepalive": 20,  # callers keep idle connections for 5 s: they close first
    "logconfig_dict": _LOGGERS | {"loggers": {**_LOGGERS["loggers"], "gunicorn.error": _GUNICORN}},
}
