"""A file made of pieces: stretches of another one, and bytes between them; nothing is copied."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import BinaryIO

Stretch = tuple[int, int]  # offset and length in the file
Piece = bytes | Stretch


def length_of(pieces: Iterable[Piece]) -> int:
    """Return how many bytes pieces are together."""
    return sum(len(piece) if isinstance(piece, bytes) else piece[1] for piece in pieces)


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the same bytes in fewer pieces: what touches is one."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if isinstance(piece, bytes):
            if isinstance(last, bytes):
                found[-1] = last + piece
            elif piece:
                found.append(piece)
        elif isinstance(last, tuple) and last[0] + last[1] == piece[0]:
            found[-1] = (last[0], last[1] + piece[1])
        elif piece[1]:
            found.append(piece)
    return found


class Pieces(io.RawIOBase):
    """Reads pieces as one file; it closes the file that they lie in."""

    def __init__(self, file: BinaryIO, pieces: Iterable[Piece]) -> None:
        self._file = file
        self._pieces = joined(pieces)
        self._ends = list(accumulate(length_of([piece]) for piece in self._pieces))
        self._position = 0

    @property
    def size_bytes(self) -> int:
        """The length of the whole."""
        return self._ends[-1] if self._ends else 0

    def readable(self) -> bool:
        """It is read."""
        return True

    def seekable(self) -> bool:
        """It is read at any place."""
        return True

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to another place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; it ends with the file."""
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view):
            chunk = self._chunk(len(view) - filled)
            if not chunk:
                break
            view[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        return filled

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def _chunk(self, size: int) -> bytes:
        """Return what the piece at the present place has, at most `size` bytes."""
        number = bisect_right(self._ends, self._position)
        if number == len(self._pieces):
            return b""
        piece = self._pieces[number]
        skipped = self._position - (self._ends[number] - length_of([piece]))
        if isinstance(piece, bytes):
            found = piece[skipped : skipped + size]
        else:
            self._file.seek(piece[0] + skipped)
            found = self._file.read(min(size, piece[1] - skipped))
        self._position += len(found)
        return found
