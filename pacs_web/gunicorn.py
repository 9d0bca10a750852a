"""Gunicorn's settings for the portal's pages."""

from __future__ import annotations

from typing import Any

from pacs_web import config

SETTINGS: dict[str, Any] = {
    "proc_name": "argens: manage.py web http",
    "bind": f"{config.HTTP_BIND}:{config.HTTP_PORT}",
    "worker_class": "gthread",
    "workers": config.HTTP_WORKERS,
    "threads": 32,
    "timeout": 60,
    "keepalive": 20,
    "loglevel": "warning",
    # Where somebody switches the access log on, it holds no query and no page that led here.
    "access_log_format": '%(h)s %(u)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s',
}
