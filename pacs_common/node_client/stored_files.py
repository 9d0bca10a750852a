"""Several files in one answer: a tar, taken apart while it comes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from pacs_common import errors

FILES_AT_ONCE = 48  # of 64 characters: an address of less than 4,094 bytes
_BLOCK = tarfile.BLOCKSIZE


class StoredFile:
    """One file of the answer: its size, and its bytes as they come, once."""

    def __init__(self, body: _Body, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._body = body
        self._left = size_bytes

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            chunk = self._body.some(self._left)
            self._left -= len(chunk)
            yield chunk

    def finish(self) -> None:
        """Pass over what was not read of it, and its padding."""
        self._left += -self.size_bytes % _BLOCK
        for _ in self:
            pass


def unpacked(chunks: Iterator[bytes], who: str) -> Iterator[tuple[str, StoredFile]]:
    """Yield the files of a tar with their names, the suffix left out.

    Raises PeerUnreachable where it is none, or breaks off.
    """
    body = _Body(chunks, who)
    while True:
        block = body.exactly(_BLOCK)
        if not any(block):  # the end
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            raise errors.PeerUnreachable(f"{who} answered with no tar") from None
        file = StoredFile(body, header.size)
        if header.isreg():  # and no extension, of which a reader needs nothing here
            yield header.name.removesuffix(".dcm"), file
        file.finish()


class _Body:
    """A body that is read in pieces of any size."""

    def __init__(self, chunks: Iterator[bytes], who: str) -> None:
        self._chunks = chunks
        self._who = who
        self._rest = memoryview(b"")

    def some(self, most_bytes: int) -> bytes:
        """Return the next bytes, at least one; raises PeerUnreachable at the end."""
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                raise errors.PeerUnreachable(f"{self._who} broke off") from None
        taken, self._rest = self._rest[:most_bytes], self._rest[most_bytes:]
        return bytes(taken)

    def exactly(self, size_bytes: int) -> bytes:
        """Return so many bytes."""
        taken = b""
        while len(taken) < size_bytes:
            taken += self.some(size_bytes - len(taken))
        return taken
