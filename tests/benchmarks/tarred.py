"""The archive's peer: the same files in a `tar`, written through, read back, with `sha256sum`."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path


class Tarred:
    """A tar of some files on the disk that is measured; each verb returns its seconds."""

    def __init__(self, folder: Path, files: list[Path]) -> None:
        self._tar, self._names = folder / "peer.tar", folder / "peer.names"
        self._back = folder / "peer.back"
        self._names.write_text("".join(f"{path}\n" for path in files))

    def copy(self) -> float:
        """Write the tar, synced, and sum it as the disk has it."""
        self._tar.unlink(missing_ok=True)
        began = time.perf_counter()
        subprocess.run(["tar", "-cPf", self._tar, "-T", self._names], check=True)
        subprocess.run(["sync", self._tar], check=True)
        forget([self._tar])
        self._sum([self._tar])
        return time.perf_counter() - began

    def take_back(self) -> float:
        """Take the files out of the tar, synced, and sum each."""
        shutil.rmtree(self._back, ignore_errors=True)
        self._back.mkdir()
        forget([self._tar])
        began = time.perf_counter()
        subprocess.run(
            ["tar", "-xf", self._tar, "-C", self._back], check=True, stderr=subprocess.DEVNULL
        )
        files = [path for path in self._back.rglob("*") if path.is_file()]
        subprocess.run(["sync", *files], check=True)
        self._sum(files)
        seconds = time.perf_counter() - began
        shutil.rmtree(self._back)
        return seconds

    def read_again(self) -> float:
        """Sum the tar as the disk has it."""
        forget([self._tar])
        began = time.perf_counter()
        self._sum([self._tar])
        return time.perf_counter() - began

    def _sum(self, files: list[Path]) -> None:
        subprocess.run(["sha256sum", *files], check=True, stdout=subprocess.DEVNULL)


def forget(files: Iterable[Path]) -> None:
    """Let the system forget what it keeps of files in memory (of what was synced)."""
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
