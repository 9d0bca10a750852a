"""A ZIP that is made while it is sent: each entry is fetched when its turn comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zipstream import ZIP_STORED, ZipStream

Entry = tuple[str, Iterable[bytes]]  # a name, and the content that is still to come


def zipped(entries: Iterator[Entry]) -> Iterator[bytes]:
    """Return the ZIP's blocks; the first entry is fetched now, while a refusal can be told."""
    blocks = _blocks(entries)
    return _joined(next(blocks), blocks)


def begun(content: Iterator[bytes]) -> Iterator[bytes]:
    """Return the same content with its first block read now: an early failure is raised here."""
    return _joined(next(content, b""), content)


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _blocks(entries: Iterator[Entry]) -> Iterator[bytes]:
    archive = ZipStream(compress_type=ZIP_STORED)
    for name, content in entries:
        archive.add(content, name)
        yield from archive.file()
    yield from archive.finalize()
