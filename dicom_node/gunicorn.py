"""Gunicorn's settings for the node's HTTP port."""

from __future__ import annotations

from typing import Any

from dicom_node.config import CONFIG

WORKERS, THREADS = 2, 32

SETTINGS: dict[str, Any] = {
    "proc_name": "argens: manage.py node http",
    "bind": f"{CONFIG.http_bind}:{CONFIG.http_port}",
    "worker_class": "dicom_node.worker.StayingThreads",
    "workers": WORKERS,
    "threads": THREADS,
    "timeout": 120,
    # callers keep idle connections for 5 s: they close first: no request meets a closed one
    "keepalive": 20,
}
