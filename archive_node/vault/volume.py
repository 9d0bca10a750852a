"""A member's format: a tar that explains and proves itself (docs/formats/archive-volume.md)."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from pacs_common import errors

FORMAT = "argens-volume-member-1"
MANIFEST = "MANIFEST.json"
SUMS = "SHA256SUMS"
CHUNK_BYTES = 1 << 20
_BLOCK, _RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE


class Damaged(errors.DigestMismatch):
    """The bytes on a volume are not those that were written there."""

    title = "Damaged copy"


@dataclass(frozen=True)
class Item:
    """One instance to be written: its digest and size at the node, its arrival (POSIX time)."""

    sop_instance_uid: str
    stored_sha256: str
    size_bytes: int
    arrived_at: int

    @property
    def path(self) -> str:
        """Return its name within the tar."""
        return instance_path(self.sop_instance_uid)


@dataclass(frozen=True)
class Extent:
    """Where bytes lie within a member."""

    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Placed:
    """One instance that a member should hold, with the digest that its node keeps."""

    sop_instance_uid: str
    stored_sha256: str
    extent: Extent


def instance_path(sop_instance_uid: str) -> str:
    """Return an instance's name within the tar."""
    return f"instances/{sop_instance_uid}.dcm"


class Member:
    """A member to be written; its exact size is known before its first byte is."""

    def __init__(self, manifest: Mapping[str, Any], items: Sequence[Item]) -> None:
        self.items = list(items)
        self._manifest = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
        self._sums = _sums(self._manifest, self.items)
        self._mtime = max((item.arrived_at for item in self.items), default=0)

    @property
    def size_bytes(self) -> int:
        """Return the size of the whole tar."""
        sizes = [len(self._manifest), len(self._sums), *(item.size_bytes for item in self.items)]
        blocks = sum(_BLOCK + _padded(size, _BLOCK) for size in sizes)
        return _padded(blocks + 2 * _BLOCK, _RECORD)

    def write(self, file: IO[bytes], open_item: Callable[[Item], IO[bytes]]) -> None:
        """Write the tar; raises Damaged where an item's bytes are not what its digest says."""
        with tarfile.open(fileobj=file, mode="w:", format=tarfile.GNU_FORMAT) as tar:
            for name, content in ((MANIFEST, self._manifest), (SUMS, self._sums)):
                tar.addfile(_header(name, len(content), self._mtime), io.BytesIO(content))
            for item in self.items:
                with open_item(item) as source:
                    hashing = _Hashing(source)
                    tar.addfile(_header(item.path, item.size_bytes, item.arrived_at), hashing)
                if hashing.hexdigest() != item.stored_sha256:
                    raise Damaged(f"{item.sop_instance_uid} changed between the node and the tar")


def extents(file: IO[bytes]) -> dict[str, Extent]:
    """Return what a member's tar holds, by name; raises Damaged where it is no tar."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            return {info.name: Extent(info.offset_data, info.size) for info in tar}
    except tarfile.TarError as error:
        raise Damaged(f"not a whole tar: {error}") from None


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


def read_manifest(file: IO[bytes]) -> dict[str, Any]:
    """Return a member's manifest; raises Damaged where it is missing or not what was written."""
    found = extents(file)
    try:
        raw = b"".join(chunks(file, found[MANIFEST]))
        sums = b"".join(chunks(file, found[SUMS]))
    except KeyError as missing:
        raise Damaged(f"the tar has no {missing}") from None
    if f"{hashlib.sha256(raw).hexdigest()}  {MANIFEST}\n".encode() not in sums:
        raise Damaged(f"{MANIFEST} is not what {SUMS} says")
    manifest = json.loads(raw)
    if manifest.get("format") != FORMAT:
        raise Damaged(f"{MANIFEST} is of another format")
    return manifest


def prove(file: IO[bytes], expected: Iterable[Placed], progress: Callable[[Placed], None]) -> None:
    """Read every expected instance and compare its digest; raises Damaged at the first that is not.

    The tar's own account (headers, manifest, digests) must agree too, so that the volume can be
    read without the catalogue.
    """
    named = {entry["sop_instance_uid"]: entry for entry in read_manifest(file)["instances"]}
    found = extents(file)
    for placed in sorted(expected, key=lambda placed: placed.extent.offset):
        uid = placed.sop_instance_uid
        if found.get(instance_path(uid)) != placed.extent:
            raise Damaged(f"{uid} is not where the catalogue says")
        if named.get(uid, {}).get("stored_sha256") != placed.stored_sha256:
            raise Damaged(f"{uid} has another digest in {MANIFEST}")
        if digest(file, placed.extent) != placed.stored_sha256:
            raise Damaged(f"{uid} reads back with another digest")
        progress(placed)


def digest(file: IO[bytes], extent: Extent) -> str:
    """Return the SHA-256 (hex) of an extent's bytes."""
    sha256 = hashlib.sha256()
    for chunk in chunks(file, extent):
        sha256.update(chunk)
    return sha256.hexdigest()


class _Hashing:
    """Hashes what tarfile reads on its way to the volume."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        chunk = self._source.read(size)
        self._sha256.update(chunk)
        return chunk

    def hexdigest(self) -> str:
        """Return the digest of all that was read."""
        return self._sha256.hexdigest()


def _header(name: str, size_bytes: int, mtime: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size_bytes, mtime, 0o444
    return header  # uid, gid 0 and no names: the same study gives the same tar


def _sums(manifest: bytes, items: Iterable[Item]) -> bytes:
    lines = [f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}"]
    lines += [f"{item.stored_sha256}  {item.path}" for item in items]
    return "".join(f"{line}\n" for line in lines).encode()


def _padded(size_bytes: int, unit: int) -> int:
    return -(-size_bytes // unit) * unit
