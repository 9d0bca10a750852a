"""How gunicorn serves the node: a thread stays with a connection that is busy.

Its own threaded worker hands each request of a kept connection from its main thread to one of the
pool and back, which takes longer than most of our answers take to make. A viewer that scrolls asks
again at once: the thread that answered waits for that a moment, and hands the connection back then.
"""

from __future__ import annotations

import select

from gunicorn.workers.gthread import TConn, ThreadWorker

PATIENCE_MS = 20


class StayingThreads(ThreadWorker):
    """The threaded worker, whose threads answer what follows at once on the same connection."""

    def handle(self, conn: TConn) -> object:
        """Answer requests of a connection; returns as the original does, after the last of them."""
        keeps = super().handle(conn)
        while keeps is True and self._has_another(conn):
            keeps = super().handle(conn)
        return keeps

    def _has_another(self, conn: TConn) -> bool:
        """Whether another request came; never waits where a connection may want for a thread."""
        if not self.alive or conn.is_http2 or self.nr_conns > self.cfg.threads:
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        waiting = select.poll()
        waiting.register(conn.sock, select.POLLIN)
        return bool(waiting.poll(PATIENCE_MS))
