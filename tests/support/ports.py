"""Ports of loopback for the programs that tests start.

A port that the kernel picks comes from the range of outgoing connections: between the moment
that a test learns its number and the moment that a program binds it, any connection of any
process may take it, and the program ends. These lie below that range, and one counter, shared
by all test processes of the machine, hands each out once in a long while.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 20_000, 31_999  # below Linux's ip_local_port_range (32768), above the demo's ports
_COUNTER = Path(tempfile.gettempdir()) / f"argens-test-ports-{os.getuid()}"


def free_port() -> int:
    """Return a port of loopback that nobody uses and that nobody else is told of meanwhile."""
    with _COUNTER.open("a+") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)
        counter.seek(0)
        last = int(counter.read() or LAST)
        for _ in range(FIRST, LAST + 1):
            last = last + 1 if FIRST <= last < LAST else FIRST
            if _is_free(last):
                counter.truncate(0)
                counter.write(str(last))
                return last
    raise AssertionError(f"no port of {FIRST} to {LAST} is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
