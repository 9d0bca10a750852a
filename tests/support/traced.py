"""strace on running processes: what they ask of the kernel, and errors that it gives them."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.services import require

_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_ATTACHED_S = 10.0


@dataclass
class Call:
    """One system call: the lines of the trace at which it began and returned."""

    name: str
    text: str
    began: int
    returned: int


@contextmanager
def strace(pids: Sequence[int], log: Path, *options: str) -> Iterator[None]:
    """Trace processes and their threads until the block ends; skips where that is forbidden."""
    attach = [word for pid in pids for word in ("-p", str(pid))]
    command = [require("strace"), "-f", "-yy", "-s", "64", "-o", str(log), *options, *attach]
    tracer = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert tracer.stderr is not None
    try:
        _wait_attached(tracer, pids)
        yield
    finally:
        tracer.terminate()
        tracer.wait(10)
        tracer.stderr.close()


def calls(log: Path) -> list[Call]:
    """Return the traced calls in the order in which they returned."""
    open_calls: dict[tuple[str, str], Call] = {}
    found = []
    for number, line in enumerate(log.read_text(errors="replace").splitlines()):
        match = _LINE.match(line)
        if not match:
            continue
        pid, resumed, name, rest = match.groups()
        if resumed:
            call = open_calls.pop((pid, resumed), Call(resumed, "", number, number))
            call.text, call.returned = call.text + rest, number
        else:
            call = Call(name, rest, number, number)
            if rest.endswith("<unfinished ...>"):
                open_calls[pid, name] = call
                continue
        found.append(call)
    return found


def _wait_attached(tracer: subprocess.Popen[bytes], pids: Sequence[int]) -> None:
    """Wait until each thread of each process has its tracer."""
    deadline = time.monotonic() + _ATTACHED_S
    while not all(_is_traced(task) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()):
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            said = tracer.stderr.read().decode(errors="replace").strip()
            pytest.skip(f"strace may not attach here: {said[:200]}")
        assert time.monotonic() < deadline, "strace does not attach"
        time.sleep(0.02)


def _is_traced(task: Path) -> bool:
    try:
        return "TracerPid:\t0\n" not in (task / "status").read_text()
    except OSError:  # the thread has ended
        return True
