"""A node that answers late: what its callers send reaches it after a while."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from tests.support.ports import free_port

CLOSE_S = 10.0


class Late:
    """A way to a port on which every request is passed on a while late."""

    def __init__(self, to_port: int, late_s: float) -> None:
        self.port = free_port()
        self._to, self._late_s = to_port, late_s
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Take no more connections; those there are end with their callers, who have gone."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(CLOSE_S)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(caller,)))
                self._threads[-1].start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, socket.create_connection(("127.0.0.1", self._to)) as server:
            back = threading.Thread(target=_pass, args=(server, caller, 0.0))
            back.start()
            _pass(caller, server, self._late_s)
            back.join()


def _pass(source: socket.socket, target: socket.socket, late_s: float) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            time.sleep(late_s)
            target.sendall(chunk)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
