"""A member read by ranges: little where a caller jumps about, more and more where it goes on."""

from __future__ import annotations

import io
from typing import IO, Any

from botocore.exceptions import BotoCoreError

from archive_node.vault.base import MediumFailed, VaultUnavailable
from archive_node.vault.s3.store import Store, ThereAlready

LEAST_BYTES, MOST_BYTES = 64 << 10, 8 << 20
_ATTEMPTS = 3


def reader(store: Store, key: str, vault: str, label: str, head: dict[str, Any]) -> IO[bytes]:
    """Return a seekable reader of an object; `head` is what the store says of it."""
    return io.BufferedReader(_Ranges(store, key, vault, label, head), LEAST_BYTES)


class _Ranges(io.RawIOBase):
    def __init__(
        self, store: Store, key: str, vault: str, label: str, head: dict[str, Any]
    ) -> None:
        super().__init__()
        self._store, self._key = store, key
        self._vault, self._label = vault, label
        self._size, self._etag = head["ContentLength"], head["ETag"]
        self._at = 0
        self._window, self._window_at = b"", 0
        self._ahead = LEAST_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a place before the beginning")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        if not self._window_at <= self._at < self._window_at + len(self._window):
            self._fetch(wanted)
        begin = self._at - self._window_at
        piece = self._window[begin : begin + wanted]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _fetch(self, wanted: int) -> None:
        goes_on = bool(self._window) and self._at == self._window_at + len(self._window)
        self._ahead = min(2 * self._ahead, MOST_BYTES) if goes_on else LEAST_BYTES
        length = min(max(wanted, self._ahead), self._size - self._at)
        self._window, self._window_at = self._range(self._at, length), self._at

    def _range(self, start: int, length: int) -> bytes:
        asked = {"Range": f"bytes={start}-{start + length - 1}", "IfMatch": self._etag}
        for attempt in range(_ATTEMPTS):
            try:
                with self._store.translated():
                    answer = self._store.client.get_object(**self._store.named(self._key), **asked)
            except ThereAlready:
                raise MediumFailed(
                    self._vault, self._label, f"{self._key} is no longer what was opened"
                ) from None
            try:
                content = answer["Body"].read()
            except BotoCoreError as error:  # the connection broke in the middle of the answer
                if attempt + 1 == _ATTEMPTS:
                    raise VaultUnavailable(f"{self._store.place}: {error}") from error
                continue
            if len(content) == length:
                return content
        raise MediumFailed(self._vault, self._label, f"{self._key} is shorter than it says")
