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
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

LOG = logging.getLogger(__name__)
STOP_TIMEOUT_S = 10.0
RESTART_DELAY_S = 1.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """One child: what to run, with what added environment, and where its output goes."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    log_file: Path | None = None


class Supervisor:
    """Starts programs in order, restarts what dies unasked, stops all in reverse order."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        restart: bool = True,
        on_death: Callable[[Program, int], None] | None = None,
    ) -> None:
        self._programs = list(programs)
        self._restart = restart
        self._on_death = on_death
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start every program that is not running."""
        for program in self._programs:
            if program.name not in self._running:
                self._running[program.name] = _spawn(program)

    def watch(self) -> None:
        """Block until `stop` (or SIGTERM / SIGINT with `handle_signals`), minding the children."""
        while not self._stopping.wait(0.2):
            for program in self._programs:
                code = self._running[program.name].poll()
                if code is not None:
                    self._died(program, code)

    def stop(self) -> None:
        """Ask every child to end, last started first; kill what has not ended in time."""
        self._stopping.set()
        children = list(reversed(self._running.values()))
        for child in children:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for child in children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.wait()
        self._running.clear()

    def handle_signals(self) -> None:
        """Let SIGTERM and SIGINT end `watch`."""

        def ask(_signum: int, _frame: FrameType | None) -> None:
            self._stopping.set()

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)

    def _died(self, program: Program, code: int) -> None:
        LOG.error("%s ended by itself", program.name, extra={"exit_code": code})
        if self._on_death is not None:
            self._on_death(program, code)
        if not self._restart:
            self._stopping.set()
        elif not self._stopping.wait(RESTART_DELAY_S):
            self._running[program.name] = _spawn(program)


def run(programs: Sequence[Program]) -> None:
    """Run the programs until SIGTERM or SIGINT; leave none behind."""
    supervisor = Supervisor(programs)
    supervisor.handle_signals()
    try:
        supervisor.start()
        supervisor.watch()
    finally:
        supervisor.stop()


def _spawn(program: Program) -> subprocess.Popen[bytes]:
    output = None if program.log_file is None else program.log_file.open("ab")
    try:
        return subprocess.Popen(  # noqa: S603 - argv is ours
            list(program.argv),
            env={**os.environ, **program.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    finally:
        if output is not None:
            output.close()


def _signal(child: subprocess.Popen[bytes], signum: int) -> None:
    if child.poll() is None:
        child.send_signal(signum)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
