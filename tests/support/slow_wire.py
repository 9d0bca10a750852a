"""A wire to a server on which everything takes longer: a TCP proxy that waits before each piece."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

PIECE_BYTES = 65536


class SlowWire:
    """Passes connections on; `delay_s` may change at any time, for those that are open too."""

    def __init__(self, address: str, behind: tuple[str, int]) -> None:
        self.delay_s = 0.0
        self._behind = behind
        self._server = socket.create_server((address, 0))
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self.url = f"http://{address}:{self._server.getsockname()[1]}"

    def serve(self) -> None:
        """Take connections until `close`."""
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._behind, timeout=10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._open += [near, far]
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        self._over.set()
        for one in (self._server, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), closing(target):
            while piece := source.recv(PIECE_BYTES):
                self._over.wait(self.delay_s)
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def slow_wire(address: str, host: str, port: int) -> Iterator[SlowWire]:
    """A wire to host and port that listens on `address`, until the block ends."""
    wire = SlowWire(address, (host, port))
    taking = threading.Thread(target=wire.serve)
    taking.start()
    try:
        yield wire
    finally:
        wire.close()
        taking.join()
