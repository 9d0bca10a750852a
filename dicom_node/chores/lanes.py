"""Work side by side: one thread for each kind and key, so that what hangs holds up nothing else."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from django.db import DatabaseError, connections

from pacs_common.errors import ArgensError
from pacs_common.logs import new_trace, trace_id

LOG = logging.getLogger(__name__)
JOIN_S = 5.0
NICENESS = 10
GoesOn = Callable[[], bool]  # false once the node is stopping


class Lanes:
    """Starts work unless the same is under way; `limits` bounds the threads of each kind."""

    def __init__(self, **limits: int) -> None:
        self._limits = limits
        self._running: dict[tuple[str, str], threading.Thread] = {}
        self._stopping = threading.Event()

    def start(
        self, kind: str, key: str, work: Callable[[GoesOn], object], *, gives_way: bool = False
    ) -> bool:
        """Run `work` in a thread of its own; false where it runs already, or too many do.

        One that gives way has what arrivals and readers leave of the processors (on Linux).
        """
        self._running = {k: t for k, t in self._running.items() if t.is_alive()}
        of_kind = sum(running == kind for running, _ in self._running)
        if (kind, key) in self._running or of_kind >= self._limits.get(kind, 1):
            return False
        name = f"{kind} {key}".strip()
        thread = threading.Thread(
            target=self._run, args=(name, work, gives_way), name=name, daemon=True
        )
        self._running[kind, key] = thread
        thread.start()
        return True

    def is_running(self, kind: str, key: str) -> bool:
        """Whether work of that kind and key is under way."""
        thread = self._running.get((kind, key))
        return thread is not None and thread.is_alive()

    def stop(self) -> None:
        """Ask all to end and wait a few seconds; what hangs on a peer ends with the process."""
        self._stopping.set()
        deadline = time.monotonic() + JOIN_S
        for thread in self._running.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, name: str, work: Callable[[GoesOn], object], gives_way: bool) -> None:
        trace_id.set(new_trace("chore"))  # of this thread's lines
        try:
            if gives_way:
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
            work(lambda: not self._stopping.is_set())
        except DatabaseError as error:
            LOG.error("the index does not answer: %s", error, extra={"chore": name})
        except ArgensError as error:
            LOG.error("%s", error, extra={"chore": name})
        except Exception:  # the node's job runner: one chore must not stop the others
            LOG.exception("a chore failed", extra={"chore": name})
        finally:
            connections.close_all()  # each thread has its own
