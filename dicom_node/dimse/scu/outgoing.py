"""What is sent by C-STORE, and reading it: whole and verified, or not at all.

A stored instance is read as bytes, never parsed; its digest is compared before the first byte
leaves, so that a damaged file is never handed on as good.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from django.db import DatabaseError

from dicom_node.index import changes
from dicom_node.models import Instance
from dicom_node.overlay.apply import corrected
from dicom_node.store import part10
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, NotDicom, NotOnline

LOG = logging.getLogger(__name__)
WHOLE_BYTES = 8 << 20  # up to this a file is read at once; a longer one is streamed
CHUNK_BYTES = 1 << 20
Data = bytes | Iterable[bytes]


class Damaged(ArgensError):
    """The file is not what arrived: it is not sent."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object to send: what its file meta group says of it, and the file.

    Of an instance of ours, `row_id`, its size and its digests are known and compared; `overlay`
    holds the corrections of its study.
    """

    sop_class: str
    uid: str
    transfer_syntax: str
    path: Path
    row_id: int = 0
    size_bytes: int = 0
    received_sha256: str = ""
    stored_sha256: str = ""
    is_online: bool = True
    is_damaged: bool = False
    study_uid: str = ""
    overlay: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """The (SOP class, transfer syntax) that a presentation context is needed for."""
        return self.sop_class, self.transfer_syntax


class Compressed(ArgensError):
    """The file was compressed in its place since its row was read; `item` is what it is now."""

    def __init__(self, item: Item) -> None:
        super().__init__("the file was compressed meanwhile")
        self.item = item


def data_set(item: Item) -> Data:
    """Return the encoded data set (no group 0002) of an item, a long one as a stream.

    Raises NotOnline where it is not on the node's disk, Compressed where it is in another syntax
    by now, Damaged (and flags the instance) where the file is not what arrived, ArgensError where
    it cannot be read.
    """
    require_sendable(item)
    try:
        return _verified(item)
    except FileNotFoundError:
        raise _missing(item) from None
    except OSError as error:
        if error.errno == errno.EIO:
            raise _flagged(item, "the disk cannot read it") from None
        raise ArgensError(f"the file cannot be read: {error.strerror}") from None


def require_sendable(item: Item) -> None:
    """Raise NotOnline or Damaged where the index already knows that an item cannot be sent."""
    if item.is_damaged:
        raise Damaged("the stored file is damaged")
    if not item.is_online:
        raise NotOnline("not on the node's disk")


def _verified(item: Item) -> Data:
    file = item.path.open("rb", buffering=0)
    try:
        size = os.fstat(file.fileno()).st_size
        if item.row_id and size != item.size_bytes:
            raise _resized(item, size)
        if size <= WHOLE_BYTES:
            content = file.read(size)
            start = part10.data_set_offset(io.BytesIO(content[:144]))
            _compare(item, [content], start)
            file.close()
            if item.overlay:
                return _Stream(_shown(io.BytesIO(content), item))
            return [memoryview(_even(content, start))[start:]]
        start = part10.data_set_offset(file)
        file.seek(0)
        _compare(item, _chunks(file), start)
        file = _shown(file, item)
    except BaseException:
        file.close()
        raise
    return _Stream(file)


def _resized(item: Item, size_bytes: int) -> ArgensError:
    """Return why a file is not as long as its row told: compressed at rest since, or damaged."""
    try:
        told = part10.recompressed(item.path)
        if told and (told.received_sha256, told.received_bytes) == (
            item.received_sha256,
            item.size_bytes,
        ):
            syntax = str(part10.read_header(item.path).file_meta.TransferSyntaxUID)
            now = {"transfer_syntax": syntax, "size_bytes": size_bytes, "stored_sha256": ""}
            return Compressed(replace(item, **now))
    except NotDicom:
        pass
    return _flagged(item, f"{size_bytes} bytes, {item.size_bytes} were stored")


def _shown(file: BinaryIO, item: Item) -> BinaryIO:
    """Return a file as it leaves, at its data set."""
    found = corrected(file, item.overlay)
    part10.data_set_offset(found)
    return found


def _compare(item: Item, chunks: Iterable[bytes], start: int) -> None:
    """Hold a file against the digest of the whole, or else of the data set from `start`."""
    expected = item.stored_sha256 or item.received_sha256
    if not expected:
        return
    digest, skip = hashlib.sha256(), 0 if item.stored_sha256 else start
    for chunk in chunks:
        digest.update(memoryview(chunk)[skip:])
        skip = 0
    if digest.hexdigest() != expected and not _stands_in(item, digest.hexdigest()):
        raise _flagged(item, "its digest differs")


def _stands_in(item: Item, data_set_sha256: str) -> bool:
    """Whether a file without a stored digest yet holds what arrived, compressed at rest."""
    told = None if item.stored_sha256 else part10.recompressed(item.path)
    return told is not None and (told.received_sha256, told.data_set_sha256) == (
        item.received_sha256,
        data_set_sha256,
    )


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


class _Stream:
    """The rest of an open file, to be read once; closed with the last byte or with its reader."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        with self._file:
            yield from (_even(chunk) for chunk in _chunks(self._file))

    def __del__(self) -> None:
        self._file.close()


def _even(content: bytes, start: int = 0) -> bytes:
    """Return bytes whose part from `start` is of even length, as fragments must be (PS3.8 E).

    Deflated data sets come of odd length from senders that do not pad them (PS3.5 A.5).
    """
    return content + b"\0" if (len(content) - start) % 2 else content


def _missing(item: Item) -> ArgensError:
    """Return why an online instance has no file: evicted a moment ago, or lost."""
    if not item.row_id:
        return ArgensError(f"{item.path} does not exist")
    now = Instance.objects.filter(id=item.row_id).values_list("availability", flat=True).first()
    if now == Availability.ONLINE:
        return _flagged(item, "its file is missing")
    return NotOnline("not on the node's disk any more")


def _flagged(item: Item, why: str) -> Damaged:
    LOG.critical("damaged object: %s", why, extra={"sop_instance_uid": item.uid})
    if item.row_id:
        believed = {"id": item.row_id, "size_bytes": item.size_bytes}  # or replaced meanwhile
        try:
            Instance.objects.filter(**believed).update(damaged=True)
            changes.note_instances([item.row_id])
        except DatabaseError as error:  # the digests' chore, or the next reader, will find it too
            LOG.error("not flagged: %s", error, extra={"sop_instance_uid": item.uid})
    return Damaged(f"the stored file is damaged: {why}")
