"""A member as a whole file, before a drive is asked to write it.

A tape that waits for its data stops and winds back; and a member that cannot be made whole (its
node went away, its bytes changed) must not leave half a tape file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from archive_node.vault.base import Writer


class _Counted:
    """What a member is written to: takes no byte beyond its announced size."""

    def __init__(self, file: IO[bytes], member: str, size_bytes: int) -> None:
        self._file, self._member, self._size_bytes = file, member, size_bytes
        self._written = 0

    def write(self, content: bytes) -> int:
        self._written += len(content)
        if self._written > self._size_bytes:
            raise self._wrong_size()
        return self._file.write(content)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        self._file.flush()

    def check_whole(self) -> None:
        if self._written != self._size_bytes:
            raise self._wrong_size()

    def _wrong_size(self) -> ValueError:
        return ValueError(f"{self._member}: {self._written} bytes written, not {self._size_bytes}")


@contextmanager
def spooled(write: Writer, member: str, size_bytes: int, folder: Path) -> Iterator[IO[bytes]]:
    """Have a member written into a file of `folder` that vanishes at the end, or with the process.

    Raises ValueError where `write` writes another number of bytes than announced.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        counted = _Counted(file, member, size_bytes)
        write(cast("IO[bytes]", counted))
        counted.check_whole()
        file.seek(0)
        yield file
