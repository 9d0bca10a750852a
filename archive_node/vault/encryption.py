"""How what lies in a member is kept from who has no key: AES-256-GCM, in segments.

A sealed file is a head (magic, segment size, salt, nonce prefix), then segments of its bytes, each
encrypted with its tag of 16 bytes behind it. Its key is derived from the archive's by HKDF with
the salt, so that no nonce serves twice under one key; a nonce is prefix, number of the segment, and
1 for the last; each segment is bound to the member's name and its own. So none can be changed,
exchanged, left out or cut off unnoticed. docs/formats/archive-volume.md shows how to read one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from archive_node.vault.tar import Damaged
from pacs_common import errors

CIPHER = "AES-256-GCM, HKDF-SHA256"
SUFFIX = ".sealed"
SEGMENT_BYTES = 1 << 20
KEY_BYTES = 32
_MAGIC = b"ARGSEAL1"
_HEAD = struct.Struct(">8sI32s7s")
_NONCE = struct.Struct(">7sI?")
_TAG_BYTES = 16


class KeyMissing(errors.Conflict):
    """What was asked for is encrypted with a key that this archive was not given."""

    title = "Key missing"


@dataclass(frozen=True)
class Key:
    """A key of the archive, by the id that members name."""

    key_id: str
    secret: bytes = field(repr=False)

    @property
    def check(self) -> str:
        """Return what tells this key from another of the same id, and nothing of it."""
        return _derived(self.secret, bytes(32), b"argens key check").hex()[:16]

    def compare(self, check: object) -> None:
        """Raise KeyMissing where it is not the key of which a member keeps `check`."""
        if check != self.check:
            raise KeyMissing(f"{self.key_id!r} is another key than the one of this id before")


def key_of(key_id: str, keys: Mapping[str, bytes]) -> Key:
    """Return a key by its id; raises KeyMissing."""
    if key_id not in keys:
        raise KeyMissing(f"PACS_ARCHIVE_KEYS_FILE has no key {key_id[:64]!r}")
    return Key(key_id, keys[key_id])


class Clear:
    """Nothing is encrypted."""

    key_id = ""
    suffix = ""

    def stored_bytes(self, size_bytes: int) -> int:
        """Return what so many bytes take."""
        return size_bytes

    def protect(self, name: str, chunks: Iterable[bytes], size_bytes: int) -> Iterable[bytes]:
        """Return the bytes as they are."""
        return chunks

    def reveal(self, name: str, read: Callable[[int], bytes], stored_bytes: int) -> Iterator[bytes]:
        """Yield so many bytes of what `read` reads."""
        while stored_bytes:
            chunk = read(min(SEGMENT_BYTES, stored_bytes))
            stored_bytes -= len(chunk)
            yield chunk


class Sealed:
    """Everything of the member `member` is encrypted with `key`."""

    suffix = SUFFIX

    def __init__(self, key: Key, member: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.key_id = key.key_id
        self._secret = key.secret
        self._member = member
        self._segment_bytes = segment_bytes

    def stored_bytes(self, size_bytes: int) -> int:
        """Return what so many bytes take, encrypted."""
        segments = max(1, -(-size_bytes // self._segment_bytes))
        return _HEAD.size + size_bytes + segments * _TAG_BYTES

    def protect(self, name: str, chunks: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
        """Yield the sealed file of `size_bytes`; raises Damaged where `chunks` are not so many."""
        salt, prefix = os.urandom(32), os.urandom(7)
        yield _HEAD.pack(_MAGIC, self._segment_bytes, salt, prefix)
        cipher, bound = self._cipher(salt), self._bound_to(name)
        left = size_bytes
        for number, segment in enumerate(_segments(chunks, self._segment_bytes)):
            left -= len(segment)
            if left < 0:
                break
            nonce = _NONCE.pack(prefix, number, left == 0)
            yield cipher.encrypt(nonce, segment, bound)
        if left:
            raise Damaged(f"{name} is not of {size_bytes} bytes")

    def reveal(self, name: str, read: Callable[[int], bytes], stored_bytes: int) -> Iterator[bytes]:
        """Yield the bytes of a sealed file of `stored_bytes`; raises Damaged at what was changed.

        `read` returns exactly as many bytes as it is asked for, in order.
        """
        if stored_bytes < _HEAD.size + _TAG_BYTES:
            raise Damaged(f"{name} is too short to be sealed")
        magic, segment_bytes, salt, prefix = _HEAD.unpack(read(_HEAD.size))
        if magic != _MAGIC or segment_bytes != self._segment_bytes:
            raise Damaged(f"{name} does not begin as a sealed file does")
        cipher, bound = self._cipher(salt), self._bound_to(name)
        left, number = stored_bytes - _HEAD.size, 0
        while left:
            sealed = read(min(left, segment_bytes + _TAG_BYTES))
            left -= len(sealed)
            try:
                yield cipher.decrypt(_NONCE.pack(prefix, number, left == 0), sealed, bound)
            except InvalidTag:
                raise Damaged(f"{name} cannot be decrypted: it was changed") from None
            number += 1

    def _cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(_derived(self._secret, salt, b"argens sealed file"))

    def _bound_to(self, name: str) -> bytes:
        return f"{self._member}\n{name}".encode()


def _segments(chunks: Iterable[bytes], segment_bytes: int) -> Iterator[bytes]:
    """Yield the same bytes in segments, the last one shorter; one that is empty for nothing."""
    gathered = bytearray()
    count = 0
    for chunk in chunks:
        if not gathered and len(chunk) == segment_bytes:
            count += 1
            yield chunk
            continue
        gathered += chunk
        while len(gathered) >= segment_bytes:
            count += 1
            yield bytes(gathered[:segment_bytes])
            del gathered[:segment_bytes]
    if gathered or not count:
        yield bytes(gathered)


def _derived(secret: bytes, salt: bytes, what_for: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt, what_for).derive(secret)
