"""The supervisor, with real children: none dies unnoticed, none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pacs_common import processes
from pacs_common.processes import Program, Supervisor

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

PATIENCE_S = 20.0
SLEEPER = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).open("a").write(f"{os.getpid()}\\n")
time.sleep(60)
"""
CHILD = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
"""
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
RUN = """
import pathlib, sys
from pacs_common.processes import Program, run
names = ["one", "two", "three"]
run([Program(n, [sys.executable, "-c", {child!r}, sys.argv[1] + "/" + n]) for n in names])
print("left in order")
"""


def program(tmp_path: Path, name: str, code: str = SLEEPER) -> Program:
    return Program(name, [sys.executable, "-c", code, str(tmp_path / name)])


def until(condition: Callable[[], object]) -> object:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def pids(tmp_path: Path, name: str) -> list[int]:
    file = tmp_path / name
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.fixture
def watched():
    """Return a function that starts a supervisor and watches it in a thread; stops all."""
    started: list[tuple[Supervisor, threading.Thread]] = []

    def watch(supervisor: Supervisor) -> Supervisor:
        supervisor.start()
        thread = threading.Thread(target=supervisor.watch)
        started.append((supervisor, thread))
        thread.start()
        return supervisor

    yield watch
    for supervisor, thread in started:
        supervisor.stop()
        thread.join()


@pytest.fixture
def role(tmp_path):
    """Return a function that starts a supervisor process over three children."""
    running: list[subprocess.Popen[str]] = []

    def start(child: str = SLEEPER) -> tuple[subprocess.Popen[str], list[int]]:
        argv = [sys.executable, "-c", RUN.format(child=child), str(tmp_path)]
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        running.append(process)
        names = ("one", "two", "three")
        until(lambda: all(pids(tmp_path, name) for name in names))
        return process, [pids(tmp_path, name)[0] for name in names]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_child_that_dies_is_started_again(tmp_path, watched):
    deaths = []
    watched(
        Supervisor(
            [program(tmp_path, "one"), program(tmp_path, "two")],
            on_death=lambda dead, code: deaths.append((dead.name, code)),
            restart_delay_s=0.05,
        )
    )
    first = until(lambda: pids(tmp_path, "one"))[0]
    until(lambda: pids(tmp_path, "two"))
    os.kill(first, signal.SIGKILL)
    again = until(lambda: pids(tmp_path, "one")[1:])[0]
    assert exists(again) and not exists(first)
    assert deaths == [("one", -signal.SIGKILL)]
    assert len(pids(tmp_path, "two")) == 1


def test_what_a_dead_child_leaves_behind_goes_too(tmp_path, watched):
    watched(Supervisor([program(tmp_path, "one", CHILD + SLEEPER)], restart_delay_s=0.05))
    first = until(lambda: pids(tmp_path, "one"))[0]
    (grandchild,) = children_of(first)
    os.kill(first, signal.SIGKILL)
    until(lambda: not exists(grandchild))


def test_without_restart_the_watch_ends_with_the_first_death(tmp_path):
    supervisor = Supervisor(
        [Program("short", [sys.executable, "-c", ""]), program(tmp_path, "long")], restart=False
    )
    try:
        supervisor.start()
        supervisor.watch()
    finally:
        supervisor.stop()
    assert children_of(os.getpid()) == []


def test_children_are_asked_to_end_last_started_first(tmp_path, monkeypatch):
    asked = []
    send = subprocess.Popen.send_signal

    def noted(child, signum):
        asked.append((child.pid, signum))
        send(child, signum)

    monkeypatch.setattr(subprocess.Popen, "send_signal", noted)
    names = ["one", "two", "three"]
    supervisor = Supervisor([program(tmp_path, name) for name in names])
    supervisor.start()
    started = [until(lambda name=name: pids(tmp_path, name))[0] for name in names]
    supervisor.stop()
    assert asked == [(pid, signal.SIGTERM) for pid in reversed(started)]


def test_a_child_that_ignores_the_request_is_killed_with_what_it_started(tmp_path):
    deaf = program(tmp_path, "deaf", DEAF + CHILD + SLEEPER)
    supervisor = Supervisor([deaf], stop_timeout_s=0.2)
    supervisor.start()
    pid = until(lambda: pids(tmp_path, "deaf"))[0]
    (grandchild,) = until(lambda: children_of(pid))
    supervisor.stop()
    assert not exists(pid)
    until(lambda: not exists(grandchild))


def test_a_program_that_cannot_start_leaves_no_other_running(tmp_path):
    with pytest.raises(FileNotFoundError):
        in_main_thread([program(tmp_path, "one"), Program("none", ["/no/such/program"])])
    assert children_of(os.getpid()) == []


def in_main_thread(programs: list[Program]) -> None:
    """Run programs, and put the test's own signal handlers back."""
    kept = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        processes.run(programs)
    finally:
        for signum, handler in kept.items():
            signal.signal(signum, handler)


def test_output_is_added_to_the_log_file_and_the_environment_reaches_the_child(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import os, sys; print(os.environ['PACS_X']); print('bad', file=sys.stderr)"
    program = Program("p", [sys.executable, "-c", code], {"PACS_X": "told"}, log)
    supervisor = Supervisor([program], restart=False)
    supervisor.start()
    supervisor.watch()
    supervisor.stop()
    assert sorted(log.read_text().splitlines()) == ["bad", "before", "told"]


def test_a_child_reads_nothing_from_the_terminal(tmp_path):
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(repr(sys.stdin.read()))"
    argv = [sys.executable, "-c", code, str(tmp_path / "read")]
    supervisor = Supervisor([Program("p", argv)], restart=False)
    supervisor.start()
    supervisor.watch()
    supervisor.stop()
    assert (tmp_path / "read").read_text() == "''"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_and_leaves_no_zombie(role, signum):
    supervisor, children = role()
    supervisor.send_signal(signum)
    output, said = supervisor.communicate(timeout=PATIENCE_S)
    assert (supervisor.returncode, output) == (0, "left in order\n"), said
    assert [pid for pid in children if exists(pid)] == []


def test_a_supervisor_that_is_killed_takes_its_children_along(role):
    supervisor, children = role()
    supervisor.kill()
    supervisor.wait()
    until(lambda: not [pid for pid in children if exists(pid)])


def test_ctrl_c_of_the_terminal_reaches_the_supervisor_alone(role):
    supervisor, children = role()
    assert {os.getsid(pid) for pid in children} == set(children)
    assert os.getsid(supervisor.pid) not in children
