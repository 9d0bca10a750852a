"""Clients that ask a list of addresses, each over one kept connection, and time every answer.

One thread serves all connections, and reads every answer into the same buffer without looking at
it: what is measured is a server, which shares the processors with whoever asks.
"""

from __future__ import annotations

import re
import selectors
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.support.process_tree import processor_s

TIMEOUT_S = 300
BUFFER_BYTES = 1 << 18
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(kw_only=True)
class Timed:
    """Answers to requests of one kind: seconds of each."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """Median of one answer, in milliseconds."""
        return statistics.median(self.seconds) * 1000

    @property
    def p95_ms(self) -> float:
        """95th percentile of one answer, in milliseconds."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.95)] * 1000


@dataclass(kw_only=True)
class Answers(Timed):
    """What came back: how long each answer took, all their bytes, and what it took in all."""

    size_bytes: int = 0
    lasted_s: float = 0.0
    server_s: float = 0.0
    """Processor time of the server."""
    client_s: float = 0.0
    """Processor time of whoever asked."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.lasted_s

    @property
    def megabytes_a_second(self) -> float:
        """Millions of bytes a second."""
        return self.size_bytes / self.lasted_s / 1e6

    @property
    def server_ms(self) -> float:
        """Processor time that the server took for one answer, in milliseconds."""
        return self.server_s / len(self.seconds) * 1000

    @property
    def client_ms(self) -> float:
        """Processor time that it took to ask for one answer and read it, in milliseconds."""
        return self.client_s / len(self.seconds) * 1000


def ask_all(
    port: int, addresses: Sequence[str], headers: dict[str, str], clients: int, server_pid: int
) -> Answers:
    """Ask for every address once; raises RuntimeError where an answer is not 200 and whole."""
    answers, waiting = Answers(), iter(addresses)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    tail = f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode()
    connections = [_Connection(port, tail) for _ in range(clients)]
    server, client, began = processor_s(server_pid), time.process_time(), time.perf_counter()
    try:
        _ask(connections, waiting, answers)
    finally:
        for connection in connections:
            connection.close()
    answers.lasted_s = time.perf_counter() - began
    answers.client_s = time.process_time() - client
    answers.server_s = processor_s(server_pid) - server
    if len(answers.seconds) != len(addresses):
        raise RuntimeError(f"{len(answers.seconds)} of {len(addresses)} answered")
    return answers


def _ask(connections: list[_Connection], waiting: Iterator[str], answers: Answers) -> None:
    """Keep every connection busy until all was asked and answered."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            if connection.ask_next(waiting):
                selector.register(connection.socket, selectors.EVENT_READ, connection)
        while selector.get_map():
            ready = selector.select(TIMEOUT_S)
            if not ready:
                raise RuntimeError(f"no answer for {TIMEOUT_S} s")
            for key, _ in ready:
                connection = key.data
                if not connection.receive(buffer):
                    continue
                answers.seconds.append(time.perf_counter() - connection.asked_at)
                answers.size_bytes += connection.body_bytes
                if not connection.ask_next(waiting):
                    selector.unregister(connection.socket)


class _Connection:
    """One kept connection, and how much of the answer that it waits for has come."""

    def __init__(self, port: int, tail: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tail = tail
        self._address = ""
        self.asked_at = 0.0
        self.body_bytes = 0

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def ask_next(self, waiting: Iterator[str]) -> bool:
        """Ask for the next address; return whether there was one."""
        self._address = next(waiting, "")
        if not self._address:
            return False
        self._head, self._end, self.body_bytes = b"", b"", 0
        self._left: int | None = None  # bytes of the body; None: it comes in chunks
        self.asked_at = time.perf_counter()
        self.socket.sendall(b"GET " + self._address.encode() + self._tail)
        return True

    def receive(self, buffer: memoryview) -> bool:
        """Read what has come; return whether the answer is whole now."""
        count = self.socket.recv_into(buffer)
        if not count:
            raise RuntimeError(f"{self._address}: the connection was closed")
        body = buffer[:count]
        if not self._head.endswith(_HEAD_END):
            body = self._begin(bytes(body))
        self.body_bytes += len(body)
        if self._left is None:
            self._end = (self._end + bytes(body[-len(_LAST_CHUNK) :]))[-len(_LAST_CHUNK) :]
            return self._end == _LAST_CHUNK
        return self.body_bytes >= self._left

    def _begin(self, came: bytes) -> memoryview:
        """Take in the head of an answer and return what came of its body."""
        head, found, body = (self._head + came).partition(_HEAD_END)
        self._head = head + found
        if not found:
            return memoryview(b"")
        length = _LENGTH.search(head + b"\r\n")
        if not head.startswith(b"HTTP/1.1 200") or (length and not int(length[1])):
            raise RuntimeError(f"{self._address}: {head[:40]!r} {body[:200]!r}")
        if not length and not _CHUNKED.search(head + b"\r\n"):
            raise RuntimeError(f"{self._address}: an answer of unknown length")
        self._left = int(length[1]) if length else None
        return memoryview(body)
