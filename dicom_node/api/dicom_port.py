"""Are the node's DICOM ports served? Asked of the kernel, so that no association is disturbed."""

from __future__ import annotations

import socket
from pathlib import Path

_LISTEN = "0A"


def is_listening(host: str, port: int) -> bool:
    """True where a process of this machine listens on a port; `host` counts outside Linux alone."""
    wanted = f"{port:04X}"
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    if not tables[0].exists():
        return _answers(host, port)
    for table in filter(Path.exists, tables):
        for line in table.read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == _LISTEN and local.rpartition(":")[2] == wanted:
                return True
    return False


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
