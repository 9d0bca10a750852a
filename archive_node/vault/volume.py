"""A member's format: a tar that explains and proves itself (docs/formats/archive-volume.md)."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from archive_node.vault import tar
from archive_node.vault.encryption import Clear, Sealed, key_of
from archive_node.vault.tar import Damaged, Extent, chunks, digest

__all__ = ["Damaged", "Extent", "Item", "OpenMember", "Placed", "chunks", "digest", "opened"]

FORMAT = "argens-volume-member-1"
SEALED_FORMAT = "argens-sealed-member-1"
MANIFEST = "MANIFEST.json"
SEALED_MANIFEST = "MANIFEST.sealed"
SUMS = "SHA256SUMS"
MOST_AT_ONCE_BYTES = 256 << 20  # of a manifest: some hundred thousand instances
MOST_SEGMENT_BYTES = 64 << 20
Cipher = Clear | Sealed


@dataclass(frozen=True)
class Item:
    """One file to be written: its digest and size at the node, its arrival (POSIX time)."""

    sop_instance_uid: str
    stored_sha256: str
    size_bytes: int
    arrived_at: int
    quarantined: bool = False

    @property
    def path(self) -> str:
        """Return its name within the tar, in clear."""
        return path_of(self.sop_instance_uid, self.stored_sha256, quarantined=self.quarantined)


@dataclass(frozen=True)
class Placed:
    """One file that a member should hold, with the digest that its node keeps.

    `extent` is where it begins in the member and the size of its file; encrypted, it takes more.
    `quarantined` tells where it was put: whatever was decided of it since, it lies there.
    """

    sop_instance_uid: str
    stored_sha256: str
    extent: Extent
    quarantined: bool = False

    @property
    def path(self) -> str:
        """Return its name within the tar, in clear."""
        return path_of(self.sop_instance_uid, self.stored_sha256, quarantined=self.quarantined)


def path_of(sop_instance_uid: str, stored_sha256: str, *, quarantined: bool) -> str:
    """Return a file's name within the tar.

    A quarantined one shares its UID with an instance, and with others: its digest names it. With
    both it would be longer than the head of a tar's entry takes.
    """
    return f"quarantine/{stored_sha256}.dcm" if quarantined else f"instances/{sop_instance_uid}.dcm"


def opened(file: IO[bytes], name: str, keys: Mapping[str, bytes]) -> OpenMember:
    """Return the member `name`, of which `file` is the tar, with its manifest read.

    Raises Damaged where it is none, or another one; KeyMissing where it is encrypted and its key
    is not among `keys`.
    """
    entries = tar.entries(file)
    raw = _content(file, entries, MANIFEST)
    outer = _parsed(raw)
    cipher = _cipher(outer, name, keys)
    if isinstance(cipher, Clear):
        sums = _content(file, entries, SUMS)
        if f"{_sha256(raw)}  {MANIFEST}\n".encode() not in sums:
            raise Damaged(f"{MANIFEST} is not what {SUMS} says")
        return OpenMember(file, cipher, outer, tar.entry_bytes(len(raw), len(sums)))
    sealed = _content(file, entries, SEALED_MANIFEST)
    inner = b"".join(cipher.reveal(SEALED_MANIFEST, io.BytesIO(sealed).read, len(sealed)))
    return OpenMember(file, cipher, _parsed(inner), tar.entry_bytes(len(raw), len(sealed)))


def read_manifest(file: IO[bytes], name: str = "", keys: Mapping[str, bytes] | None = None) -> Any:
    """Return the manifest alone; raises Damaged, or KeyMissing."""
    return opened(file, name, keys or {}).manifest


class OpenMember:
    """A member that is open for reading, whose manifest is known.

    `manifest` may be left out (empty) where only what the catalogue knows of it is read.
    """

    def __init__(
        self, file: IO[bytes], cipher: Cipher, manifest: dict[str, Any], begin: int
    ) -> None:
        self._file = file
        self._cipher = cipher
        self._begin = begin  # of the first instance's entry
        self.manifest = manifest

    @property
    def key_id(self) -> str:
        """Return the id of the key that it is encrypted with, or nothing."""
        return self._cipher.key_id

    def placed(self) -> list[Placed]:
        """Return where its files lie, by its manifest; `prove` finds out whether they do."""
        entries = self._entries()
        stored = [self._cipher.stored_bytes(entry["size_bytes"]) for entry, _ in entries]
        return [
            Placed(
                entry["sop_instance_uid"],
                entry["stored_sha256"],
                Extent(offset, entry["size_bytes"]),
                quarantined,
            )
            for (entry, quarantined), offset in zip(
                entries, tar.offsets(self._begin, stored), strict=True
            )
        ]

    def content(self, placed: Placed) -> Iterator[bytes]:
        """Yield one instance's file, decrypted; raises Damaged where it cannot be."""
        extent = self._stored(placed)
        reader = tar.Reader(self._file, extent)
        yield from self._cipher.reveal(self._path(placed), reader.read, extent.size_bytes)

    def _entries(self) -> list[tuple[dict[str, Any], bool]]:
        """Return what the manifest says of each file, and whether it lies in quarantine."""
        instances = [(entry, False) for entry in self.manifest["instances"]]
        return instances + [(entry, True) for entry in self.manifest.get("quarantine", [])]

    def prove(self, expected: Iterable[Placed], progress: Callable[[Placed], None]) -> None:
        """Read the whole member once, in order, and compare each expected instance's digest.

        The tar's own account (headers, manifest, digests) must agree too, so that the volume can
        be read without the catalogue. Raises Damaged at the first thing that does not.
        """
        wanted = {self._path(placed): placed for placed in expected}
        named = {
            path_of(each["sop_instance_uid"], each["stored_sha256"], quarantined=quarantined): each
            for each, quarantined in self._entries()
        }
        found: dict[str, str] = {}
        for name, extent in tar.entries(self._file):
            reader = tar.Reader(self._file, extent)
            placed = wanted.pop(name, None)
            if placed is not None:
                self._compare(placed, extent, named)
                if self._digest(name, reader, extent) != placed.stored_sha256:
                    raise Damaged(f"{placed.sop_instance_uid} reads back with another digest")
                progress(placed)
            found[name] = reader.digest()
            if name == SUMS:
                sums = _whole(self._file, extent, SUMS)
        _compare_sums(found, sums if SUMS in found else b"")
        for placed in wanted.values():
            raise Damaged(f"{placed.sop_instance_uid} is not in the member")

    def _compare(self, placed: Placed, extent: Extent, named: dict[str, dict[str, Any]]) -> None:
        uid = placed.sop_instance_uid
        if extent != self._stored(placed):
            raise Damaged(f"{uid} is not where the catalogue says")
        if named.get(placed.path, {}).get("stored_sha256") != placed.stored_sha256:
            raise Damaged(f"{uid} has another digest in {MANIFEST}")

    def _digest(self, name: str, reader: tar.Reader, extent: Extent) -> str:
        if isinstance(self._cipher, Clear):
            return reader.digest()
        sha256 = hashlib.sha256()
        for chunk in self._cipher.reveal(name, reader.read, extent.size_bytes):
            sha256.update(chunk)
        return sha256.hexdigest()

    def _path(self, placed: Placed) -> str:
        return placed.path + self._cipher.suffix

    def _stored(self, placed: Placed) -> Extent:
        extent = placed.extent
        return Extent(extent.offset, self._cipher.stored_bytes(extent.size_bytes))


def in_clear(file: IO[bytes]) -> OpenMember:
    """Return a member that is known to be in clear, for reading instances where they lie."""
    return OpenMember(file, Clear(), {}, 0)


def _cipher(outer: dict[str, Any], name: str, keys: Mapping[str, bytes]) -> Cipher:
    if outer.get("format") == FORMAT:
        return Clear()
    if outer.get("format") != SEALED_FORMAT:
        raise Damaged(f"{MANIFEST} is of another format")
    if outer.get("member") != name:
        raise Damaged(f"{MANIFEST} is that of {outer.get('member')}")
    key = key_of(str(outer.get("key_id")), keys)
    key.compare(outer.get("key_check"))
    segment_bytes = outer.get("segment_bytes")
    if not isinstance(segment_bytes, int) or not 0 < segment_bytes <= MOST_SEGMENT_BYTES:
        raise Damaged(f"{MANIFEST} tells no size of a segment")
    return Sealed(key, name, segment_bytes)


def _content(file: IO[bytes], entries: Iterator[tuple[str, Extent]], name: str) -> bytes:
    found, extent = next(entries, ("an end", Extent(0, 0)))
    if found != name:
        raise Damaged(f"the tar has {found} where {name} should be")
    return _whole(file, extent, name)


def _whole(file: IO[bytes], extent: Extent, name: str) -> bytes:
    """Return what is read at once: what a tar from elsewhere claims of it is bounded."""
    if extent.size_bytes > MOST_AT_ONCE_BYTES:
        raise Damaged(f"{name} says that it is {extent.size_bytes} bytes long")
    return b"".join(chunks(file, extent))


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise Damaged(f"{MANIFEST} cannot be read")
    return manifest


def _compare_sums(found: dict[str, str], sums: bytes) -> None:
    lines = [line.partition("  ") for line in sums.decode(errors="replace").splitlines()]
    said = {name: sha256 for sha256, _, name in lines}
    found = {name: sha256 for name, sha256 in found.items() if name != SUMS}
    for name in {**found, **said}:
        if found.get(name) != said.get(name):
            raise Damaged(f"{name} is not what {SUMS} says")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
