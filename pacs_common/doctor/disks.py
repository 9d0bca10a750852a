"""Disks and the files on them: room, writing, syncing, linking; who may read the secrets."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from pacs_common.doctor.finding import Finding, ok, problem, warning

FEW_INODES, LITTLE_ROOM = 0.05, 0.10


def folder(path: Path, *, reserve_bytes: int = 0) -> Iterator[Finding]:
    """Examine a role's data folder."""
    about = f"folder {path}"
    try:
        _write_and_sync(path)
    except OSError as error:
        todo = "give the role's account a folder that it may write, on a disk that works"
        yield problem(about, f"cannot be written and synced: {error.strerror}", todo)
        return
    yield ok(about, "is written and synced")
    yield _room(path, reserve_bytes)
    disk = os.statvfs(path)
    if disk.f_files and disk.f_favail / disk.f_files < FEW_INODES:
        told = f"{disk.f_favail} of {disk.f_files} inodes are left"
        yield problem(about, told, "make a file system with more inodes, or free some files")


def linked(one: Path, other: Path) -> Iterator[Finding]:
    """Say whether files can be linked from one folder into another: they need one file system."""
    about = f"folders {one.name} and {other.name}"
    try:
        one.mkdir(parents=True, exist_ok=True)
        other.mkdir(parents=True, exist_ok=True)
        source, target = _probe(one), _probe(other)
        source.touch()
        try:
            os.link(source, target)
            target.unlink()
        finally:
            source.unlink()
    except OSError as error:
        todo = f"put {one} and {other} on one file system that has hard links"
        yield problem(about, f"no link between them: {error.strerror}", todo)
        return
    yield ok(about, "are on one file system")


def secret(path: Path, setting: str) -> Iterator[Finding]:
    """Say whether others may read a file that holds a secret."""
    about = f"secret {path.name}"
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        return  # it is made at the first start
    except OSError as error:
        yield problem(about, f"{path}: {error.strerror}", f"let the role read it ({setting})")
        return
    if not os.access(path, os.R_OK):
        yield problem(about, f"{path} cannot be read", f"let the role read it ({setting})")
    elif mode & 0o077:
        yield problem(about, f"{path} has mode {mode:o}: others may read it", f"chmod 600 {path}")
    else:
        yield ok(about, f"mode {mode:o}")


def _room(path: Path, reserve_bytes: int) -> Finding:
    disk = os.statvfs(path)
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    told = f"{free >> 20} MiB of {total >> 20} are free, {reserve_bytes >> 20} are the reserve"
    about = f"room in {path}"
    if reserve_bytes >= total:
        return problem(about, told, "PACS_RESERVE_BYTES is more than the disk has: lower it")
    if free <= reserve_bytes:
        return problem(about, told, "free the disk (docs/runbooks/disk-full.md)")
    if free - reserve_bytes < LITTLE_ROOM * total:
        return warning(about, told, "free the disk soon (docs/runbooks/disk-full.md)")
    return ok(about, told)


def _write_and_sync(path: Path) -> None:
    probe = _probe(path)
    handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, b"doctor")
        os.fsync(handle)
    finally:
        os.close(handle)
        probe.unlink()
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _probe(path: Path) -> Path:
    return path / f".doctor-{secrets.token_hex(8)}"
