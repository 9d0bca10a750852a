"""Ports: free, ours, or another program's (by the kernel's tables; Linux)."""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path

from pacs_common.doctor.finding import Finding, ok, problem, warning

_LISTENS = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def port(what: str, host: str, number: int, role: str, setting: str) -> Finding:
    """Say whose a port is; `role` is the word after manage.py."""
    about = f"{what} port {number}"
    failure = _bound(host, number)
    if failure is None:
        return ok(about, "free: the role is not running")
    if failure != errno.EADDRINUSE:
        told = os.strerror(failure)
        return problem(
            about, f"cannot be bound at {host}: {told}", f"change {setting} or the address"
        )
    owner = owner_of(number)
    if owner is None:
        told = "taken, by a program that this account may not look at"
        return warning(about, told, "run the doctor as the role's account, or as root")
    pid, command = owner
    if f"manage.py {role}" in command:
        return ok(about, f"ours (process {pid})")
    told = f"taken by process {pid}: {command[:80]}"
    return problem(about, told, f"stop that program, or choose another {setting}")


def owner_of(number: int) -> tuple[int, str] | None:
    """Return the process that listens on a port and its command; None where none can be seen."""
    inodes = _listening(number)
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(_inode(handle) in inodes for handle in folder.iterdir()):
                command = (folder.parent / "cmdline").read_bytes().replace(b"\0", b" ")
                return int(folder.parent.name), command.decode(errors="replace").strip()
        except OSError:
            continue  # another account's, or gone
    return None


def _bound(host: str, number: int) -> int | None:
    """Return why a port cannot be bound, None where it can (and is let go again)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, number))
            one.listen(1)
        except socket.gaierror:
            return errno.EADDRNOTAVAIL
        except OSError as error:
            return error.errno
    return None


def _listening(number: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTENS and int(columns[1].rpartition(":")[2], 16) == number:
                found.add(columns[9])
    return found


def _inode(handle: Path) -> str:
    try:
        match = _SOCKET.fullmatch(os.readlink(handle))
    except OSError:
        return ""
    return match[1] if match else ""
