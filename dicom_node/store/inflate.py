"""Inflates a deflated data set as it streams in, within bounds (PS3.5 A.5)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from pacs_common.errors import NotDicom

MAX_INFLATED_BYTES = 1 << 30
MAX_RATIO = 200  # of what came, once FREE_BYTES were inflated
FREE_BYTES = 64 << 20
PIECE_BYTES = 256 << 10


class Inflater:
    """One raw deflate stream; what it yields is bounded in size, in ratio and piece by piece."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(-zlib.MAX_WBITS)
        self._came = self._inflated = 0

    def inflate(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        """Yield what the chunk inflates to; raises NotDicom where it is damaged or a bomb."""
        self._came += len(chunk)
        waiting: bytes | memoryview = chunk
        while waiting and not self._engine.eof:
            try:
                piece = self._engine.decompress(waiting, PIECE_BYTES)
            except zlib.error as error:
                raise NotDicom(f"the data set cannot be inflated: {error}") from None
            waiting = self._engine.unconsumed_tail
            self._count(len(piece))
            if piece:
                yield piece

    def finish(self) -> None:
        """Raise NotDicom where the stream has no end."""
        if not self._engine.eof:
            raise NotDicom("the data set is cut: its deflated stream has no end")

    def _count(self, size_bytes: int) -> None:
        self._inflated += size_bytes
        if self._inflated > MAX_INFLATED_BYTES:
            raise NotDicom(f"it inflates to more than {MAX_INFLATED_BYTES >> 20} MiB")
        if self._inflated > FREE_BYTES and self._inflated > MAX_RATIO * self._came:
            raise NotDicom(f"it inflates to more than {MAX_RATIO} times its size")
