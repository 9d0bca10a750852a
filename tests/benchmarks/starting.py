"""How long servers take from their first process to their first answers."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import orthanc_filled, peers, query
from tests.benchmarks.peers import Absent, Peer
from tests.support import roles
from tests.support.raw_association import Ended, RawAssociation

POLL_S = 0.005
TIMEOUT_S = 120.0


@dataclass
class Stopped:
    """A server that has run before: how it starts, and where it will answer."""

    name: str
    index: str
    start: Callable[[], subprocess.Popen[bytes]]
    stop: Callable[[subprocess.Popen[bytes]], None]
    port: int
    http_port: int
    page: str


@dataclass(frozen=True)
class Started:
    """One start: seconds until all its doors answered, and until C-ECHO did."""

    name: str
    index: str
    ready_s: float
    echo_s: float


def starts(folder: Path, options: argparse.Namespace) -> Iterator[Started]:
    """Start each server on each index, round by round."""
    folder.mkdir()
    servers = list(_prepared(folder, options))
    for server in servers:
        time_to_answers(server)  # the first time reads the disk
    for number in range(options.rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            web_s, echo_s = time_to_answers(server)
            yield Started(server.name, server.index, max(web_s, echo_s), echo_s)


def time_to_answers(server: Stopped) -> tuple[float, float]:
    """Return the seconds until HTTP says ready and until C-ECHO succeeds, and stop the server."""
    asks = {"web": lambda: _is_ready(server), "echo": lambda: _echoes(server.port)}
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    process = server.start()
    try:
        while len(seconds) < len(asks):
            for name, ask in asks.items():
                if name not in seconds and ask():
                    seconds[name] = time.perf_counter() - began
            if process.poll() is not None or time.perf_counter() - began > TIMEOUT_S:
                raise RuntimeError(f"{server.name} with {server.index} does not start")
            time.sleep(POLL_S)
    finally:
        server.stop(process)
    return seconds["web"], seconds["echo"]


def _prepared(folder: Path, options: argparse.Namespace) -> Iterator[Stopped]:
    makers = {"argens": _node, "orthanc": _orthanc}
    for size in (0, *options.sizes):
        own = folder / str(size)
        own.mkdir()
        for name in (name for name in makers if name in options.only):
            if name == "orthanc" and size > options.orthanc_most:
                continue
            try:
                yield makers[name](own, size)
            except Absent as absent:
                print(f"not measured: {name} ({absent})", flush=True)


def _node(folder: Path, size: int) -> Stopped:
    if size:
        query.fill(folder / "argens", "", size)
    else:
        (folder / "argens").mkdir()
    node = roles.node(folder / "argens", "CT")
    for name in ("PACS_RESERVE_BYTES", "PACS_IN_USE_S"):  # a test's, not the default
        node.env.pop(name)

    def start() -> subprocess.Popen[bytes]:
        process = node.start().process
        assert process is not None
        return process

    ports = node.dicom_port, node.http_port
    return Stopped("argens", _index(size), start, lambda _: node.stop(), *ports, "/readyz")


def _orthanc(folder: Path, size: int) -> Stopped:
    own = folder / "orthanc"
    own.mkdir()
    argv, port, http_port = peers.orthanc_configured(own, SyncStorageArea=False)
    server = Stopped(
        "orthanc",
        _index(size),
        lambda: peers.start(argv, own / "orthanc.log"),
        peers.stop,
        port,
        http_port,
        "/system",
    )
    if size:
        index = folder / "argens" / "node-ct" / "index.sqlite3"
        if not index.exists():
            query.fill(folder / "argens", "", size)
        _load(server, index)
    return server


def _load(server: Stopped, index: Path) -> None:
    process = server.start()
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not _is_ready(server):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{server.name} does not start")
            time.sleep(POLL_S)
        peer = Peer(server.port, server.http_port, process.pid, lambda: 0, lambda: None)
        orthanc_filled.load(peer, index)
    finally:
        server.stop(process)


def _index(size: int) -> str:
    return f"index of {size:,} instances" if size else "empty index"


def _is_ready(server: Stopped) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", server.page)
        return connection.getresponse().status == 200
    return False


def _echoes(port: int) -> bool:
    with contextlib.suppress(OSError, Ended), RawAssociation(port, 5) as association:
        association.associate()
        is_well = association.echo() == 0
        association.release()
        return is_well
    return False
