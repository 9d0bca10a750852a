"""A role confined as its systemd unit confines it, on a machine where systemd does not run.

No capabilities, everything read-only but the role's folders, no memory that is writable and
executable, and each system call that the unit's filter leaves out is answered EPERM.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.roles import ROOT
from tests.support.services import require

CONFINED = ROOT / "deploy" / "systemd" / "argens-.service.d" / "confined.conf"
_DENY_WX = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) and sys.exit('no MDWE');"
)
_EXEC = "os.execv(sys.argv[1], sys.argv[1:])"


def refused_calls() -> list[str]:
    """Return the system calls that the units' filter leaves out."""
    lines = re.findall(r"^SystemCallFilter=(.+)$", CONFINED.read_text(), re.MULTILINE)
    allowed: set[str] = set()
    for line in lines:
        groups = line.removeprefix("~").split()
        found = {call for group in groups for call in _calls(group)}
        allowed = allowed - found if line.startswith("~") else allowed | found
    return sorted(set(_calls("@known")) - allowed)


def command(argv: Sequence[str], writable: Sequence[Path], refused_log: Path) -> list[str]:
    """Return `argv` confined; each refused call becomes a line of `refused_log`.

    Of the folders, those in `writable` alone can be written. Skips where only root could do this.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can confine a process to read-only folders")
    for folder in (*writable, refused_log.parent):
        folder.mkdir(exist_ok=True)
    calls = ",".join(f"?{call}" for call in refused_calls())
    traced = [require("strace"), "-f", "-qq", "--seccomp-bpf", "-o", str(refused_log)]
    traced += ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EPERM", "-e", "signal=none"]
    bare = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    no_wx = [sys.executable, "-c", _DENY_WX + _EXEC]
    shell = ["unshare", "--mount", "sh", "-c", _read_only([*writable, refused_log.parent]), "sh"]
    return [*shell, *bare, *traced, *no_wx, *argv]


def _read_only(writable: Sequence[Path]) -> str:
    binds = " && ".join(f"mount --bind {folder} {folder}" for folder in writable)
    private = "mount -t tmpfs -o mode=1777 none /tmp && mount -t tmpfs -o mode=1777 none /dev/shm"
    if ROOT.is_relative_to("/tmp"):  # a checkout there is seen all the same
        seen = f"mkdir -p {ROOT} && mount --bind /mnt {ROOT} && umount /mnt"
        private = f"mount --bind {ROOT} /mnt && {private} && {seen}"
    return f'{binds} && {private} && mount -o remount,ro,bind / && exec "$@"'


def _calls(group: str) -> list[str]:
    if not group.startswith("@"):
        return [group]
    shown = subprocess.run(
        [require("systemd-analyze"), "syscall-filter", group],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = [line.strip() for line in shown.splitlines()[1:] if not line.strip().startswith("#")]
    return [call for word in words if word for call in _calls(word)]
