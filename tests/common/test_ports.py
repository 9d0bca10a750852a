"""Ports for the programs that tests start: none is told twice, no connection takes one."""

from __future__ import annotations

import socket
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.support.ports import free_port


def _some(_: int) -> list[int]:
    return [free_port() for _ in range(25)]


def test_processes_that_ask_at_once_are_told_different_ports() -> None:
    with ProcessPoolExecutor(4) as pool:
        told = [port for ports in pool.map(_some, range(8)) for port in ports]
    assert len(set(told)) == 200


def test_a_port_in_use_is_passed_over() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port()))
        assert holder.getsockname()[1] not in _some(0)


def test_no_outgoing_connection_takes_a_port_that_was_told() -> None:
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(_some(0)) < first_outgoing
