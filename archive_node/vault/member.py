"""A member on its way to a volume; its exact size is known before its first byte is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import IO, Any

from archive_node.vault import tar
from archive_node.vault.encryption import CIPHER, SEGMENT_BYTES, Clear, Key, Sealed
from archive_node.vault.tar import Damaged, Extent
from archive_node.vault.volume import (
    MANIFEST,
    SEALED_FORMAT,
    SEALED_MANIFEST,
    SUMS,
    Item,
    Placed,
)

Content = Callable[[Item], Iterator[bytes]]
_OUTER = ("node", "study_uid", "member", "revision")  # what an encrypted member tells anyone
_SUM_BYTES = 64 + 3  # digest, two spaces, line feed


class Member:
    """The files `items` under `manifest`, in clear or encrypted with `key`.

    Instances come first, then what lay in quarantine, each in the order of the manifest.
    """

    def __init__(
        self, manifest: Mapping[str, Any], items: Sequence[Item], key: Key | None = None
    ) -> None:
        self.items = list(items)
        self._cipher = Sealed(key, manifest["member"]) if key else Clear()
        self._mtime = max((item.arrived_at for item in self.items), default=0)
        self._inner = _json(manifest)
        self._outer = _json(_outer(manifest, key)) if key else b""
        self._stored = [self._cipher.stored_bytes(item.size_bytes) for item in self.items]

    @property
    def key_id(self) -> str:
        """Return the id of the key that it is encrypted with, or nothing."""
        return self._cipher.key_id

    @property
    def size_bytes(self) -> int:
        """Return the size of the whole tar."""
        return tar.whole_bytes(self._begin + tar.entry_bytes(*self._stored, *self._sums_last))

    @property
    def placed(self) -> list[Placed]:
        """Return where each instance will lie."""
        return [
            Placed(
                item.sop_instance_uid,
                item.stored_sha256,
                Extent(offset, item.size_bytes),
                item.quarantined,
            )
            for item, offset in zip(self.items, tar.offsets(self._begin, self._stored), strict=True)
        ]

    def write(self, file: IO[bytes], content: Content) -> None:
        """Write the tar; `content` gives an instance's bytes, and is closed when they are read.

        Raises Damaged where an instance's bytes are not what its digest says.
        """
        if self._outer:
            self._write_sealed(file, content)
        else:
            self._put(file, MANIFEST, self._inner)
            self._put(file, SUMS, self._sums_in_clear())
            for item in self.items:
                self._put_instance(file, item, content)
        file.write(tar.end(self._begin + tar.entry_bytes(*self._stored, *self._sums_last)))

    def _write_sealed(self, file: IO[bytes], content: Content) -> None:
        """Write what nobody reads without the key, then the digests of what was written."""
        self._put(file, MANIFEST, self._outer)
        sealed = b"".join(self._cipher.protect(SEALED_MANIFEST, [self._inner], len(self._inner)))
        self._put(file, SEALED_MANIFEST, sealed)
        sums = [(MANIFEST, _sha256(self._outer)), (SEALED_MANIFEST, _sha256(sealed))]
        for item in self.items:
            sums.append((self._path(item), self._put_instance(file, item, content)))
        self._put(file, SUMS, _sums(sums))

    def _put(self, file: IO[bytes], name: str, content: bytes) -> None:
        file.write(tar.header(name, len(content), self._mtime))
        file.write(content)
        file.write(tar.padding(len(content)))

    def _put_instance(self, file: IO[bytes], item: Item, content: Content) -> str:
        """Write one instance; return the digest of what lies in the tar."""
        path, stored_bytes = self._path(item), self._cipher.stored_bytes(item.size_bytes)
        file.write(tar.header(path, stored_bytes, item.arrived_at))
        with closing(content(item)) as chunks:
            hashing = _Hashing(chunks, item)
            written = hashlib.sha256() if self._outer else None
            for chunk in self._cipher.protect(path, hashing, item.size_bytes):
                file.write(chunk)
                if written:
                    written.update(chunk)
        hashing.compare()
        file.write(tar.padding(stored_bytes))
        return written.hexdigest() if written else item.stored_sha256

    def _path(self, item: Item) -> str:
        return item.path + self._cipher.suffix

    def _sums_in_clear(self) -> bytes:
        sums = [(self._path(item), item.stored_sha256) for item in self.items]
        return _sums([(MANIFEST, _sha256(self._inner)), *sums])

    @property
    def _begin(self) -> int:
        """Where the first instance's entry stands."""
        if self._outer:
            sealed_bytes = self._cipher.stored_bytes(len(self._inner))
            return tar.entry_bytes(len(self._outer), sealed_bytes)
        return tar.entry_bytes(len(self._inner), _sums_bytes([MANIFEST, *self._paths]))

    @property
    def _sums_last(self) -> list[int]:
        """The size of what follows the instances."""
        return [_sums_bytes([MANIFEST, SEALED_MANIFEST, *self._paths])] if self._outer else []

    @property
    def _paths(self) -> list[str]:
        return [self._path(item) for item in self.items]


class _Hashing:
    """Hashes an instance on its way, and lets no byte too many through."""

    def __init__(self, chunks: Iterable[bytes], item: Item) -> None:
        self._chunks = chunks
        self._item = item
        self._sha256 = hashlib.sha256()
        self._left = item.size_bytes

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._left -= len(chunk)
            if self._left < 0:
                break
            self._sha256.update(chunk)
            yield chunk

    def compare(self) -> None:
        """Raise Damaged unless it was the whole instance and nothing else."""
        if self._left or self._sha256.hexdigest() != self._item.stored_sha256:
            uid = self._item.sop_instance_uid
            raise Damaged(f"{uid} came with another digest than its own")


def _outer(manifest: Mapping[str, Any], key: Key) -> dict[str, Any]:
    return {
        "format": SEALED_FORMAT,
        **{name: manifest[name] for name in _OUTER},
        "cipher": CIPHER,
        "key_id": key.key_id,
        "key_check": key.check,
        "segment_bytes": SEGMENT_BYTES,
    }


def _json(manifest: Mapping[str, Any]) -> bytes:
    """Return it as JSON with a line for each key, and for each of a list's entries."""
    lines = [f"{json.dumps(name)}: {_lines(manifest[name])}" for name in sorted(manifest)]
    return ("{" + ",\n ".join(lines) + "}\n").encode()


def _lines(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    entries = [json.dumps(each, ensure_ascii=False) for each in value]
    return "[" + ",\n  ".join(entries) + "]"


def _sums(sums: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{sha256}  {name}\n" for name, sha256 in sums).encode()


def _sums_bytes(names: Iterable[str]) -> int:
    return sum(_SUM_BYTES + len(name) for name in names)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
