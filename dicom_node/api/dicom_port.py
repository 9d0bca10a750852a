"""Is the node's DICOM port served? Asked of the kernel, so that no association is disturbed."""

from __future__ import annotations

import socket
from pathlib import Path

from dicom_node.config import CONFIG

_LISTEN = "0A"


def is_listening() -> bool:
    """True where a process of this machine listens on the configured DICOM port."""
    port = f"{CONFIG.dicom_port:04X}"
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    if not tables[0].exists():
        return _answers()
    for table in filter(Path.exists, tables):
        for line in table.read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == _LISTEN and local.rpartition(":")[2] == port:
                return True
    return False


def _answers() -> bool:
    try:
        socket.create_connection((CONFIG.dicom_bind, CONFIG.dicom_port), timeout=1).close()
    except OSError:
        return False
    return True
