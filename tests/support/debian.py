"""A bare Debian 12 in a folder (debootstrap), and programs in it: for what is installed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.services import require

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SOURCES = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]


def mirror() -> str:
    """Return the mirror that this machine's own apt uses for Debian, or skip."""
    for file in SOURCES:
        if not file.is_file():
            continue
        for line in file.read_text().splitlines():
            address = re.search(
                r"^(?:URIs:|deb (?:\[[^]]*\] )?).*?(\S+://\S+/debian)/?(?:\s|$)", line
            )
            if address:
                return address[1]
    pytest.skip("this machine's apt names no mirror of Debian")


def bare(folder: Path) -> Path:
    """Make a minimal Debian 12 in a folder that is not there; skips where this cannot be done."""
    program = require("debootstrap")
    if os.geteuid() != 0:
        pytest.skip("only root can make a Debian in a folder")
    command = [program, "--variant=minbase", "bookworm", str(folder), mirror()]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": PATH})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def inside(root: Path, command: Sequence[str], *, network: bool = True) -> list[str]:
    """Return a command that runs in the folder with its own /proc and this machine's /dev."""
    line = (
        f"mount -t proc proc {root}/proc && mount --bind /dev {root}/dev && "
        f"mount -t tmpfs -o mode=1777 none {root}/dev/shm && "
        f"exec chroot {root} {shlex.join(command)}"
    )
    return ["unshare", "--mount", *([] if network else ["--net"]), "sh", "-c", line]


def run(
    root: Path,
    *command: str,
    network: bool = True,
    text_in: str = "",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder to its end."""
    return subprocess.run(
        inside(root, command, network=network),
        input=text_in,
        capture_output=True,
        text=True,
        env={"PATH": PATH, "LC_ALL": "C.UTF-8", **(env or {})},
    )
