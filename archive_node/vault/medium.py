"""A file on a volume: what the medium says of its troubles, in the archive's own words."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from archive_node.vault.base import MediumFailed, VaultFull
from pacs_common import errors
from pacs_common.sentences import say

BUFFER_BYTES = 1 << 20
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Translate = Callable[[OSError], errors.ArgensError]


def translator(vault: str, label: str) -> Translate:
    """Return what turns a system's error on a volume into MediumFailed, or VaultFull."""

    def translate(error: OSError) -> errors.ArgensError:
        if error.errno in _NO_SPACE:
            return VaultFull(say("volume-disk-full", volume=label, vault=vault))
        return MediumFailed(vault, label, error.strerror or repr(error))

    return translate


@contextmanager
def translated(translate: Translate) -> Iterator[None]:
    """Run a block whose system errors are the medium's."""
    try:
        yield
    except OSError as error:
        raise translate(error) from error


def reader(path: Path, translate: Translate) -> IO[bytes]:
    """Return a seekable reader of what the medium has: cached pages are dropped first.

    Raises FileNotFoundError, and MediumFailed where the medium cannot be read.
    """
    try:
        raw = _Medium(path, "rb", translate)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise translate(error) from error
    os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return io.BufferedReader(raw, BUFFER_BYTES)


def writer(path: Path, translate: Translate) -> IO[bytes]:
    """Return a writer to a new file; it raises MediumFailed, or VaultFull."""
    with translated(translate):
        return io.BufferedWriter(_Medium(path, "wb", translate), BUFFER_BYTES)


class _Medium(io.FileIO):
    """A file whose errors are told apart from those of whatever else a caller reads or writes."""

    def __init__(self, path: Path, mode: str, translate: Translate) -> None:
        super().__init__(path, mode)
        self._translate = translate

    def readinto(self, buffer: Any, /) -> int | None:
        with translated(self._translate):
            return super().readinto(buffer)

    def read(self, size: int | None = -1, /) -> bytes | None:
        with translated(self._translate):
            return super().read(-1 if size is None else size)

    def readall(self) -> bytes | None:
        with translated(self._translate):
            return super().readall()

    def write(self, content: Any, /) -> int | None:
        with translated(self._translate):
            return super().write(content)
