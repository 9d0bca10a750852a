"""Signs of life of those processes of the archive that have no port to be asked at.

Each is a file below the data folder, touched at every sign, in which stands for how many seconds
the process may be silent. `deploy/healthy.py NAME` reads it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from django.conf import settings

LOG = logging.getLogger(__name__)
FOLDER = "alive"
SILENT_TICKS = 10  # a tick may wait while all of the worker's places are taken


def sign(name: str) -> None:
    """Note that a process did what it is there for; a full disk costs the sign alone."""
    config = settings.ARCHIVE
    file: Path = config.data_dir / FOLDER / name
    try:
        os.utime(file)
    except FileNotFoundError:
        _begin(file, SILENT_TICKS * config.dispatch_s)
    except OSError as error:
        LOG.warning("no sign of life: %s: %s", file, error.strerror)


def forget(name: str) -> None:
    """Take back the sign of a former process, at the start of a new one."""
    (settings.ARCHIVE.data_dir / FOLDER / name).unlink(missing_ok=True)


def _begin(file: Path, silent_s: float) -> None:
    try:
        file.parent.mkdir(exist_ok=True)
        fresh = file.with_name(f".{file.name}.{os.getpid()}")
        fresh.write_text(f"{silent_s:g}\n", encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        LOG.warning("no sign of life: %s: %s", file, error.strerror)
