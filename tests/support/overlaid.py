"""A machine that is this one's Debian, with all that is written kept in memory until the end.

Quick where `debian.bare` takes minutes: nothing is unpacked, and packages count as installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import debian

_MOUNTS = """
mount -t tmpfs -o size=8g none {place} && mkdir {place}/upper {place}/work {place}/root &&
mount -t overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work none {place}/root &&
mount -t proc proc {place}/root/proc && mount --rbind /dev {place}/root/dev &&
mount -t tmpfs none {place}/root/run && echo ready && exec sleep infinity
"""
# What the installation asks for is here already; systemd is not, so the node is started by hand.
_STAND_INS = {
    "dpkg-query": "printf 'install ok installed'\n",
    "systemctl": """echo "$*" >>/var/log/systemctl.log
case "$1 $*" in
    start*argens-node.service*)
        setsid argens node run >>/var/log/node.log 2>&1 & echo $! >/run/node.pid ;;
    stop*argens-node.service*)
        [ -e /run/node.pid ] || exit 0
        pid=$(cat /run/node.pid); rm /run/node.pid; kill "$pid"
        while [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status"; do sleep 0.1; done
esac
""",
}


@dataclass(frozen=True)
class Overlaid:
    """The machine: its root as it is seen from here, and programs run in it."""

    pid: int
    place: Path

    @property
    def root(self) -> Path:
        """The machine's root folder."""
        return Path(f"/proc/{self.pid}/root{self.place}/root")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine to its end."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "chroot", f"{self.place}/root"]
        return subprocess.run(
            [*enter, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={"PATH": debian.PATH, "LC_ALL": "C.UTF-8"},
            timeout=240,
        )


@contextmanager
def machine(place: Path) -> Iterator[Overlaid]:
    """Yield the machine; skips where it cannot be made, or is no Debian that we install on."""
    release = Path("/etc/os-release")
    if os.geteuid() != 0 or not release.exists() or "ID=debian" not in release.read_text():
        pytest.skip("only root of a Debian can overlay it")
    command = ["unshare", "--mount", "sh", "-c", _MOUNTS.format(place=place)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert holder.stdout and holder.stderr
    try:
        if holder.stdout.readline() != b"ready\n":
            pytest.skip(f"this kernel overlays nothing: {holder.stderr.read().decode()[-200:]}")
        made = Overlaid(holder.pid, place)
        for name, text in _STAND_INS.items():
            (made.root / "usr/local/bin" / name).write_text(f"#!/bin/sh\n{text}")
            (made.root / "usr/local/bin" / name).chmod(0o755)
        (made.root / "run/systemd/system").mkdir(parents=True)
        try:
            yield made
        finally:  # of a test that failed, too
            made.run("systemctl", "stop", "argens-node.service")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        holder.stderr.close()


def give_libraries(made: Overlaid, digest: str) -> None:
    """Let the installation find this checkout's libraries where it would put its own."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    venvs = made.root / "opt/argens/venvs"
    venvs.mkdir(parents=True)
    (venvs / f"{version}-{digest[:12]}").symlink_to(sys.prefix)
    (made.root / sys.prefix.lstrip("/") / "complete").touch()
