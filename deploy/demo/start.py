"""Starts the hospital, opens it, and stops all of it when asked or when a member fails."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from deploy.demo import preflight
from deploy.demo.hospital import ROOT, Hospital, forget_foreign_settings, plan
from deploy.demo.opening import Opening, OpeningFailed, say
from pacs_common.env import Env, SettingError
from pacs_common.processes import STOP_TIMEOUT_S, Program, Supervisor

LOG_TAIL_LINES = 12
LOG_TAIL_BYTES = 16_384


def main() -> int:
    """Run the demo until Ctrl-C or SIGTERM; return the exit status (0, 1 failed, 2 not started)."""
    try:
        hospital = plan(Env())
    except SettingError as error:
        return _complain(error.message, 2)
    forget_foreign_settings()
    os.chdir(ROOT)
    return run(hospital)


def run(hospital: Hospital) -> int:
    """Run a hospital until it is asked to stop; return the exit status."""
    try:
        preflight.check(hospital)
    except preflight.CannotStart as error:
        return _complain(str(error), 2)
    logging.getLogger("pacs_common.processes").addHandler(logging.NullHandler())  # we say it
    say(f"Starting the hospital in {hospital.folder} ...")
    return _Demo(hospital).run()


class _Demo:
    """The members under a supervisor, and the opening in a thread beside it."""

    def __init__(self, hospital: Hospital) -> None:
        self._hospital = hospital
        self._stopping = threading.Event()
        self._open = threading.Event()
        self._failure: OpeningFailed | None = None
        self._members = {member.name: member for member in hospital.members}
        programs = [
            Program(member.name, member.argv, member.env, hospital.log_file(member))
            for member in hospital.members
        ]
        self._supervisor = Supervisor(
            programs,
            on_death=self._died,
            stop_timeout_s=STOP_TIMEOUT_S + 5,  # each member stops its own processes first
        )

    def run(self) -> int:
        """Start, open, watch, stop; return 0 when stopping was asked for, 1 on a failure."""
        self._supervisor.handle_signals()
        opening = threading.Thread(target=self._do_opening, name="opening")
        try:
            self._supervisor.start()
            opening.start()
            self._supervisor.watch()
        except OpeningFailed as failure:
            self._failure = failure
        finally:
            self._stopping.set()
            if opening.ident is not None:
                opening.join()
            self._supervisor.stop()
        return self._farewell()

    def _do_opening(self) -> None:
        try:
            opening = Opening(self._hospital, self._stopping)
            opening.run()
            self._open.set()
            opening.put_viewer_in_place()
        except OpeningFailed as failure:
            self._failure = failure
            os.kill(os.getpid(), signal.SIGTERM)  # ends the supervisor's watch

    def _died(self, program: Program, code: int) -> None:
        member = self._members[program.name]
        how = f"exit status {code}" if code >= 0 else f"signal {-code}"
        if not self._open.is_set():
            raise OpeningFailed(f"the {member.title} ended by itself ({how})", member)
        log = _shown(self._hospital.log_file(member))
        say(f"The {member.title} ended by itself ({how}) and is started again; its log is {log}.")

    def _farewell(self) -> int:
        if self._failure is None:
            say("\nThe hospital is closed.")
            return 0
        if self._failure.member is None:
            return _complain(str(self._failure), 1)
        log = self._hospital.log_file(self._failure.member)
        _complain(f"{self._failure}; its log is {_shown(log)}, which ends:", 1)
        for line in _tail(log):
            print(f"  {line}", file=sys.stderr)
        return 1


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
    except OSError:
        return ["(nothing)"]


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _complain(line: str, status: int) -> int:
    print(line, file=sys.stderr, flush=True)
    return status
