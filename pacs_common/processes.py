"""Runs several programs as one: a role's processes, or the whole demo.

Children get sessions of their own, so that Ctrl-C reaches only the supervisor, which stops
them in reverse order; a supervisor that is killed takes its children with it (Linux).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Protocol

LOG = logging.getLogger(__name__)
STOP_TIMEOUT_S = 10.0
RESTART_DELAY_S = 1.0
POLL_S = 0.1
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child(Protocol):
    """A running child, as subprocess.Popen knows it."""

    @property
    def pid(self) -> int:
        """Its process id, which is that of its process group too."""

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended; raises subprocess.TimeoutExpired."""

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""


class Startable(Protocol):
    """What a supervisor starts, and starts again."""

    @property
    def name(self) -> str:
        """What people call it."""

    def spawn(self) -> Child:
        """Start it in a session of its own; it gets SIGTERM when this thread ends (Linux)."""


@dataclass(frozen=True)
class Program:
    """One child: what to run, with what added environment, and where its output goes."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    log_file: Path | None = None

    def spawn(self) -> Child:
        """Start the program."""
        output = None if self.log_file is None else self.log_file.open("ab")
        try:
            return subprocess.Popen(  # noqa: S603 - argv is ours
                list(self.argv),
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(die_with, os.getpid()),
            )
        finally:
            if output is not None:
                output.close()


class StopSignals:
    """SIGTERM and SIGINT, waited for instead of handled: make it before any thread is started."""

    _SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, self._SIGNALS)

    def wait(self) -> None:
        """Return when one arrives."""
        signal.sigwait(self._SIGNALS)

    def arrive_within(self, wait_s: float) -> bool:
        """Return whether one arrives within `wait_s` seconds (0: has arrived)."""
        return signal.sigtimedwait(self._SIGNALS, wait_s) is not None


class Supervisor:
    """Starts programs in order, restarts what dies unasked, stops all in reverse order.

    On Linux a child also gets SIGTERM when the thread that started it ends, so call `start`
    and `watch` in the main thread.
    """

    def __init__(
        self,
        programs: Sequence[Startable],
        *,
        restart: bool = True,
        on_death: Callable[[Startable, int], None] | None = None,
        stop_timeout_s: float = STOP_TIMEOUT_S,
        restart_delay_s: float = RESTART_DELAY_S,
    ) -> None:
        self._programs = list(programs)
        self._restart = restart
        self._on_death = on_death
        self._stop_timeout_s = stop_timeout_s
        self._restart_delay_s = restart_delay_s
        self._running: dict[str, Child] = {}
        self._restart_at: dict[str, float] = {}
        self._stopping = False  # no Event: a signal handler may not take its lock

    def start(self) -> None:
        """Start every program that is not running."""
        for program in self._programs:
            if program.name not in self._running:
                self._running[program.name] = program.spawn()

    def watch(self) -> None:
        """Block until `stop` (or SIGTERM / SIGINT with `handle_signals`), minding the children."""
        while not self._stopping:
            for program in self._programs:
                self._mind(program)
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Ask every child to end, last started first; kill what has not ended in time.

        What is killed goes with all that it started in its process group.
        """
        self._stopping = True
        names = [program.name for program in reversed(self._programs)]
        children = [self._running[name] for name in names if name in self._running]
        for child in children:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + self._stop_timeout_s
        for child in children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_group(child)
                child.wait()
        self._running.clear()
        self._restart_at.clear()

    def handle_signals(self) -> None:
        """Let SIGTERM and SIGINT end `watch`."""

        def ask(_signum: int, _frame: FrameType | None) -> None:
            self._stopping = True

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)

    def _mind(self, program: Startable) -> None:
        child = self._running.get(program.name)
        if child is not None:
            code = child.poll()
            if code is not None:
                del self._running[program.name]
                _kill_group(child)  # what it left behind may hold its port
                self._died(program, code)
        elif not self._stopping and time.monotonic() >= self._restart_at[program.name]:
            self._running[program.name] = program.spawn()

    def _died(self, program: Startable, code: int) -> None:
        LOG.error("%s ended by itself", program.name, extra={"exit_code": code})
        if self._on_death is not None:
            self._on_death(program, code)
        self._restart_at[program.name] = time.monotonic() + self._restart_delay_s
        if not self._restart:
            self._stopping = True


def run(programs: Sequence[Startable]) -> None:
    """Run the programs until SIGTERM or SIGINT; leave none behind."""
    supervisor = Supervisor(programs)
    supervisor.handle_signals()
    try:
        supervisor.start()
        supervisor.watch()
    finally:
        supervisor.stop()


def _signal(child: Child, signum: int) -> None:
    if child.poll() is None:
        child.send_signal(signum)


def _kill_group(child: Child) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody is left in it


def die_with(parent: int) -> None:
    """Let this process get SIGTERM when its parent ends, however that ends (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), signal.SIGTERM)
