"""The tar that a member is: written and read as a stream, entry by entry, in order."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from pacs_common import errors

CHUNK_BYTES = 1 << 20
_BLOCK, _RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE


class Damaged(errors.DigestMismatch):
    """The bytes on a volume are not those that were written there."""

    title = "Damaged copy"


@dataclass(frozen=True)
class Extent:
    """Where bytes lie within a member."""

    offset: int
    size_bytes: int


def header(name: str, size_bytes: int, mtime: int) -> bytes:
    """Return what precedes an entry; a name of at most 100 bytes takes one block."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size_bytes, mtime, 0o444
    return entry.tobuf(tarfile.GNU_FORMAT)  # uid, gid 0 and no names: the same gives the same tar


def padding(size_bytes: int) -> bytes:
    """Return what follows an entry of this size, up to the next block."""
    return bytes(-size_bytes % _BLOCK)


def end(size_bytes: int) -> bytes:
    """Return what ends a tar of whose entries take so many bytes: zeros, up to a whole record."""
    return bytes(whole_bytes(size_bytes) - size_bytes)


def entry_bytes(*sizes_bytes: int) -> int:
    """Return what entries of these sizes take, headers and padding included."""
    return sum(_BLOCK + size_bytes + -size_bytes % _BLOCK for size_bytes in sizes_bytes)


def whole_bytes(size_bytes: int) -> int:
    """Return the size of a tar whose entries take so many bytes."""
    return -(-(size_bytes + 2 * _BLOCK) // _RECORD) * _RECORD


def offsets(begin: int, sizes_bytes: Iterable[int]) -> Iterator[int]:
    """Yield where the bytes of each of these entries begin; the first entry stands at `begin`."""
    for size_bytes in sizes_bytes:
        yield begin + _BLOCK
        begin += entry_bytes(size_bytes)


def entries(file: IO[bytes]) -> Iterator[tuple[str, Extent]]:
    """Yield what a tar holds, in order; the caller may read between two of them.

    Raises Damaged where it is no tar, or ends before it should.
    """
    at = 0
    while True:
        file.seek(at)
        try:
            entry = tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "surrogateescape")
        except tarfile.EOFHeaderError:
            return
        except tarfile.HeaderError as error:
            raise Damaged(f"not a whole tar: {error}") from None
        if entry.size < 0:  # base 256 can say so: the way through the tar would have no end
            raise Damaged(f"not a whole tar: {entry.name} is {entry.size} bytes long")
        yield entry.name, Extent(at + _BLOCK, entry.size)
        at += entry_bytes(entry.size)


def chunks(file: IO[bytes], extent: Extent) -> Iterator[bytes]:
    """Yield an extent's bytes; raises Damaged where the member ends before it does."""
    file.seek(extent.offset)
    left = extent.size_bytes
    while left:
        chunk = file.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise Damaged("the member ends too early")
        left -= len(chunk)
        yield chunk


class Reader:
    """Reads an extent in order, hashing what it reads."""

    def __init__(self, file: IO[bytes], extent: Extent) -> None:
        file.seek(extent.offset)
        self._file = file
        self._sha256 = hashlib.sha256()
        self._left = extent.size_bytes

    def read(self, size_bytes: int) -> bytes:
        """Return exactly so many bytes; raises Damaged where the member ends before."""
        found = self._file.read(size_bytes)
        while len(found) < size_bytes:
            more = self._file.read(size_bytes - len(found))
            if not more:
                raise Damaged("the member ends too early")
            found += more
        self._left -= size_bytes
        self._sha256.update(found)
        return found

    def digest(self) -> str:
        """Return the SHA-256 (hex) of the whole extent, after reading what is left of it."""
        while self._left:
            self.read(min(CHUNK_BYTES, self._left))
        return self._sha256.hexdigest()


def digest(file: IO[bytes], extent: Extent) -> str:
    """Return the SHA-256 (hex) of an extent's bytes; raises Damaged."""
    return Reader(file, extent).digest()
