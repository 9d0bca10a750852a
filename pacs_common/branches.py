"""Children that go on from their supervisor's own process, with everything imported already.

They start in milliseconds and share the memory of what was imported. Whoever starts one has no
other thread and no database connection open.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from setproctitle import setproctitle

from pacs_common.processes import die_with

LOG = logging.getLogger(__name__)
POLL_S = 0.02
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})


@dataclass(frozen=True)
class Branch:
    """One child: what it does, and the title under which `ps` shows it."""

    name: str
    title: str
    work: Callable[[], object]

    def spawn(self) -> Forked:
        """Fork it: a session of its own, nothing on its standard input."""
        gc.collect()
        gc.freeze()  # what is shared stays shared
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # none may meet our handlers
        try:
            pid = os.fork()
            if not pid:
                self._be_the_child(parent, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return Forked(pid)

    def _be_the_child(self, parent: int, mask: set[int | signal.Signals]) -> None:
        """Work and end; nothing of the parent's stack runs on here."""
        status = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            die_with(parent)
            with open(os.devnull) as nothing:
                os.dup2(nothing.fileno(), 0)
            setproctitle(self.title)
            self.work()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # there is nobody above to report it
            LOG.exception("%s failed", self.name)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


@dataclass
class Forked:
    """A forked child, with the part of subprocess.Popen that a supervisor uses."""

    pid: int
    _status: int | None = field(default=None, repr=False)

    def poll(self) -> int | None:
        """Return how it ended (a signal as a negative number), None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended; raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(POLL_S)
        return status

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)
