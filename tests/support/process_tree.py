"""A process and all that it started: who they are, their processor time and their memory."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _REAPED_SYSTEM = 1, 11, 14  # fields of /proc/PID/stat after the name
SAMPLE_S = 0.25
QUIET_S, QUIET_TIMEOUT_S = 0.5, 15.0


def tree(root: int) -> list[int]:
    """Return the process ids of `root` and its descendants, zombies included."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def named(root: int, words: str) -> list[int]:
    """Return those of the tree whose command line holds `words`."""
    return [pid for pid in tree(root) if words in command_line(pid)]


def command_line(pid: int) -> str:
    """Return a process's command line, "" where it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def processor_s(root: int) -> float:
    """Return the processor seconds of the tree, those of its ended children included."""
    total = 0
    for pid in tree(root):
        fields = _stat(pid)
        total += sum(int(ticks) for ticks in fields[_USER : _REAPED_SYSTEM + 1])
    return total / _TICKS


def wait_quiet(root: int) -> None:
    """Wait until the tree has done its starting: it takes next to no processor time any more."""
    deadline = time.monotonic() + QUIET_TIMEOUT_S
    before = processor_s(root)
    while time.monotonic() < deadline:
        time.sleep(QUIET_S)
        now = processor_s(root)
        if now - before <= 0.1 * QUIET_S:
            return
        before = now


def pss_bytes(root: int) -> int:
    """Return the memory of the tree, shared pages counted once (proportional set size)."""
    return sum(_line(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in tree(root))


def peak_rss_bytes(pid: int) -> int:
    """Return the most memory that one process has held since its start or `reset_peak_rss`."""
    return _line(f"/proc/{pid}/status", "VmHWM:")


def reset_peak_rss(pid: int) -> None:
    """Let `peak_rss_bytes` count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass
class Consumption:
    """What a tree of processes took between `with` and its end."""

    root: int
    processor_s: float = 0.0
    peak_pss_bytes: int = 0

    def __enter__(self) -> Consumption:
        self._before = processor_s(self.root)
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._sampler.join()
        self.processor_s = processor_s(self.root) - self._before

    def _sample(self) -> None:
        while True:
            self.peak_pss_bytes = max(self.peak_pss_bytes, pss_bytes(self.root))
            if self._over.wait(SAMPLE_S):
                return


def _stat(pid: int) -> list[str]:
    """Return /proc/PID/stat after the name, [] where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _line(path: str, name: str) -> int:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:  # gone, or a zombie
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name)), 0)


def shown_by_ps(pid: int) -> str:
    """Return what `ps auxewww` tells of a process: its command line and its environment."""
    told = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    return b" ".join(told).replace(b"\0", b" ").decode(errors="replace")
