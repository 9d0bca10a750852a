"""Clients that take a whole study and keep nothing of it: DCMTK's by C-GET and C-MOVE, and HTTP.

The programs write nothing. What they got is counted nevertheless: the objects in their log, the
bytes by the kernel, which knows what a process has read.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.peers import Peer
from tests.support.ports import free_port
from tests.support.roles import wait_for_port

TIMEOUT_S = 600
BUFFER_BYTES, ENDING_BYTES = 1 << 20, 256
CALLING = "BENCH"
EVERY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_COMPLETED = re.compile(r"Number of Completed Suboperations : ([0-9]+)")
_RECEIVED = b"Received Store Request"
_BOUNDARY = re.compile(r'boundary="?([^";]+)')


@dataclass(frozen=True)
class Taken:
    """What one client got: objects, and bytes with what framed them."""

    instances: int
    size_bytes: int


@dataclass(frozen=True)
class Sink:
    """A destination of C-MOVE that writes nothing, with a log line for each object."""

    ae_title: str
    port: int
    pid: int
    log: Path

    def so_far(self) -> Taken:
        """Return all that it got since its start."""
        return Taken(self.log.read_bytes().count(_RECEIVED), _read_bytes(self.pid))


@contextlib.contextmanager
def sinks(folder: Path, count: int) -> Iterator[list[Sink]]:
    """Run so many destinations; raises Absent."""
    program = peers.program("storescp")
    options = ["--ignore", "+B", "-v", "-pdu", str(peers.MAX_PDU_BYTES)]
    with contextlib.ExitStack() as stack:
        found = []
        for number in range(1, count + 1):
            ae_title, port, log = f"SINK{number}", free_port(), folder / f"sink{number}.log"
            argv = [program, *options, "-aet", ae_title, str(port)]
            process = stack.enter_context(_running(argv, log))
            wait_for_port(port)
            found.append(Sink(ae_title, port, process.pid, log))
        yield found


def by_get(peer: Peer, study: str, clients: int) -> list[Taken]:
    """Take a study by C-GET, by so many at once; raises RuntimeError where one fails."""
    argv = ["getscu", "--ignore", *_request(peer, study)]
    found = []
    for said, size_bytes in _all_done([argv] * clients):
        completed = _COMPLETED.findall(said)
        found.append(Taken(int(completed[-1]) if completed else 0, size_bytes))
    return found


def by_move(peer: Peer, study: str, destinations: Sequence[Sink]) -> list[Taken]:
    """Let a study be sent to each destination at once; raises RuntimeError where it fails."""
    before = [sink.so_far() for sink in destinations]
    request = _request(peer, study)
    _all_done([["movescu", "-aem", sink.ae_title, *request] for sink in destinations])
    return [
        Taken(now.instances - then.instances, now.size_bytes - then.size_bytes)
        for then, now in zip(before, (sink.so_far() for sink in destinations), strict=True)
    ]


def by_web(
    peer: Peer, address: str, clients: int, headers: dict[str, str] | None = None
) -> list[Taken]:
    """Take a multipart answer, by so many at once; raises RuntimeError where it breaks."""
    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(_drained, peer, address, headers or {}) for _ in range(clients)]
        return [one.result() for one in asked]


def _request(peer: Peer, study: str) -> list[str]:
    return [
        *("-v", "-S", "-pdu", str(peers.MAX_PDU_BYTES), "-aet", CALLING, "-aec", peers.AE_TITLE),
        *("127.0.0.1", str(peer.port)),
        *("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"),
    ]


def _all_done(commands: Sequence[Sequence[str]]) -> list[tuple[str, int]]:
    """Run programs at once; return what each said, and how many bytes it read."""
    executables = {name: peers.program(name) for name in {argv[0] for argv in commands}}
    started = [
        subprocess.Popen(
            [executables[argv[0]], *argv[1:]],
            env={**os.environ, **peers.DCMTK},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for argv in commands
    ]
    with ThreadPoolExecutor(len(started)) as pool:
        return list(pool.map(_end_of, started))


def _end_of(process: subprocess.Popen[bytes]) -> tuple[str, int]:
    """Read what a program says to its end, and what it read before it is forgotten."""
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read().decode(errors="replace")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    size_bytes = _read_bytes(process.pid)
    if process.wait(TIMEOUT_S):
        raise RuntimeError(f"{process.args} ended with {process.returncode}: {said[-500:]}")
    return said, size_bytes


def _read_bytes(pid: int) -> int:
    """Return how many bytes a process has read, from sockets too; a zombie still tells."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("rchar:")))


def _drained(peer: Peer, address: str, headers: dict[str, str]) -> Taken:
    connection = http.client.HTTPConnection("127.0.0.1", peer.http_port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("GET", address, headers={"Accept": EVERY_SYNTAX, **headers})
        answer = connection.getresponse()
        found = _BOUNDARY.search(answer.headers.get("Content-Type", ""))
        if answer.status != 200 or not found:
            raise RuntimeError(f"{address}: {answer.status} {answer.read()[:300]!r}")
        return _counted(answer, b"--" + found[1].encode())


def _counted(answer: http.client.HTTPResponse, boundary: bytes) -> Taken:
    """Count parts and bytes; the last boundary must have come."""
    buffer = bytearray(BUFFER_BYTES)
    view, keep = memoryview(buffer), len(boundary) - 1
    boundaries = size_bytes = kept = 0
    ending = b""
    while count := answer.readinto(view[kept:]):
        size_bytes += count
        end = kept + count
        boundaries += buffer.count(boundary, 0, end)
        ending = (ending + buffer[max(kept, end - ENDING_BYTES) : end])[-ENDING_BYTES:]
        kept = min(keep, end)
        buffer[:kept] = buffer[end - kept : end]
    if not ending.rstrip().endswith(boundary + b"--"):
        raise RuntimeError(f"an answer of {size_bytes} bytes ends without its last boundary")
    return Taken(boundaries - 1, size_bytes)


@contextlib.contextmanager
def _running(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, env={**os.environ, **peers.DCMTK}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)
