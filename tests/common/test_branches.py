"""Children forked from their supervisor end, are replaced and told apart as programs are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacs_common.branches import Branch, Forked
from pacs_common.processes import Supervisor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

RUN = """
import os, pathlib, sys, time
from pacs_common.branches import Branch
from pacs_common.processes import run

folder = pathlib.Path(sys.argv[1])

def work(name):
    with (folder / name).open("a") as file:
        file.write(f"{os.getpid()} {os.getppid()} {sys.stdin.read()!r}\\n")
    time.sleep(60)

run([Branch(n, f"argens: test {n}", lambda n=n: work(n)) for n in ("one", "two")])
print("left in order")
"""


def until(condition: Callable[[], object]) -> object:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def lines(folder: Path, name: str, count: int = 1) -> list[list[str]]:
    """Return what a child wrote at each of its starts, once it started so often."""

    def written() -> list[str]:
        path = folder / name
        found = path.read_text().splitlines() if path.exists() else []
        return found if len(found) >= count else []

    return [line.split(" ", 2) for line in until(written)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A supervisor of two children, in a process of its own."""
    argv = [sys.executable, "-c", RUN, str(tmp_path)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_each_child_has_its_title_its_session_and_nothing_to_read(supervisor, tmp_path):
    for name in ("one", "two"):
        pid, parent, read = lines(tmp_path, name)[0]
        assert (int(parent), read) == (supervisor.pid, "''")
        assert os.getsid(int(pid)) == int(pid)
        title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
        assert title == f"argens: test {name}"


def test_a_child_that_is_killed_is_started_again_and_the_other_stays(supervisor, tmp_path):
    other = lines(tmp_path, "two")
    killed = int(lines(tmp_path, "one")[0][0])
    os.kill(killed, signal.SIGKILL)
    assert int(lines(tmp_path, "one", 2)[1][0]) != killed
    assert lines(tmp_path, "two") == other


def test_a_stop_ends_the_children_and_then_the_supervisor(supervisor, tmp_path):
    pids = [int(lines(tmp_path, name)[0][0]) for name in ("one", "two")]
    supervisor.terminate()
    assert supervisor.communicate(timeout=20)[0] == "left in order\n"
    assert not any(is_alive(pid) for pid in pids)


def test_a_killed_supervisor_takes_its_children_with_it(supervisor, tmp_path):
    pids = [int(lines(tmp_path, name)[0][0]) for name in ("one", "two")]
    supervisor.kill()
    until(lambda: not any(is_alive(pid) for pid in pids))


def test_a_stop_in_the_moment_of_the_start_is_not_lost(tmp_path):
    code = RUN.replace("run([", "import signal\nfrom pacs_common.processes import Supervisor\n"
                       "s = Supervisor([").replace(
        'print("left in order")',
        "s.handle_signals()\ns.start()\nbegan = time.monotonic()\ns.stop()\n"
        'print(time.monotonic() - began < 5)',
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize(
    ("work", "status"),
    [
        (lambda: None, 0),
        (lambda: sys.exit(3), 3),
        (lambda: sys.exit(), 0),
        (lambda: sys.exit("why"), 1),
        (lambda: 1 / 0, 1),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM),
    ],
)
def test_its_end_says_what_became_of_it(work, status):
    assert _spawned(work).wait(20) == status


def test_waiting_for_a_child_ends_in_time():
    child = _spawned(lambda: time.sleep(60))
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.1)
    assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    assert child.wait(20) == -signal.SIGKILL
    child.send_signal(signal.SIGKILL)  # it is gone: nobody is hurt


def test_a_child_that_fails_by_itself_is_told_to_the_supervisors_owner():
    deaths = []
    branch = Branch("one", "argens: test", lambda: sys.exit(7))
    supervisor = Supervisor(
        [branch], restart=False, on_death=lambda dead, code: deaths.append((dead.name, code))
    )
    supervisor.start()
    supervisor.watch()
    supervisor.stop()
    assert deaths == [("one", 7)]


def _spawned(work: Callable[[], object]) -> Forked:
    return Branch("child", "argens: test", work).spawn()
