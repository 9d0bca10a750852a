"""An object on its way in: streamed to its file, hashed and scanned, in constant memory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from dicom_node import measures
from dicom_node.index.entry import WANTED, Entry, Identity, Stored, entry_of, sop_of
from dicom_node.ingest.arrival import Origin
from dicom_node.ingest.checks import check_class, check_identity
from dicom_node.store import blobs, part10
from dicom_node.store.layout import Layout, hour_of
from dicom_node.store.scan import Scanner
from pacs_common.errors import ArgensError, UidMismatch

SPACE_ASKED_EVERY_BYTES = 16 << 20
HELD_BACK_BYTES = 1 << 20  # of an object whose UIDs are not known yet
LONG_S = 1800.0  # a transfer that took longer is filed under the hour of its end
_SOP_TAGS = (0x00080016, 0x00080018)


class Outcome(StrEnum):
    """What became of an object; each is answered with success."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class Result:
    """The outcome for one object, and where quarantined, why."""

    outcome: Outcome
    identity: Identity
    reason: str = ""
    detail: str = ""
    size_bytes: int = 0


class Incoming:
    """One object that is being received; whoever began it ends it with `finish` or `abandon`.

    The file meta group is written as soon as the UIDs are known: from the command at once, else
    from the data set. An error removes the file, and every later call raises it again.
    """

    def __init__(
        self,
        layout: Layout,
        origin: Origin,
        reserve_bytes: int,
        settle: Callable[[Incoming, Entry], Result],
    ) -> None:
        check_class(origin.affected_class, origin)
        self.origin = origin
        self._layout, self._reserve_bytes, self._settle = layout, reserve_bytes, settle
        self._hour, self._begun = hour_of(origin.arrived_at), time.monotonic()
        folder = layout.folder(self._hour)
        blobs.ensure_folder(folder)
        blobs.require_space(folder, 0, reserve_bytes)
        self._space_left = SPACE_ASKED_EVERY_BYTES
        self._scanner = Scanner(origin.transfer_syntax, WANTED)
        self._hash = hashlib.sha256()
        self._held_back: bytearray | None = bytearray()
        self._meta_names = ("", "")
        self._failure: ArgensError | None = None
        self.file = blobs.Partial(folder)
        said = (origin.affected_class.strip(" \0"), origin.affected_uid.strip(" \0"))
        if all(said):
            self._begin_or_close(said)

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the data set; the chunk is free again when this returns."""
        if self._failure is not None:
            raise self._failure
        try:
            self._scanner.feed(chunk)
            self._hash.update(chunk)
            if self._held_back is None:
                self._to_file(chunk)
            else:
                self._hold_back(chunk)
        except ArgensError as error:
            self._failure = error
            self.file.close()
            raise

    def finish(self) -> Result:
        """Return what became of the object, once it is durable and can be found."""
        if self._failure is not None:
            raise self._failure
        try:
            settled = self._settle(self, self._entry())
        except ArgensError as error:
            self._failure = error
            raise
        finally:
            self.file.close()
        door = measures.STOW_RS if self.origin.stored_by else measures.C_STORE
        measures.received(door, settled.outcome.value, self.file.size_bytes)
        return replace(settled, size_bytes=self.file.size_bytes)

    @property
    def named(self) -> tuple[str, str]:
        """SOP Class and Instance UID, as far as they are known; else empty."""
        return self._meta_names

    def abandon(self) -> None:
        """Forget the object: nothing of it stays. Harmless after `finish`."""
        self.file.close()

    def _begin_or_close(self, names: tuple[str, str]) -> None:
        try:
            self._begin_file(names)
        except BaseException:  # nobody has this object yet, to abandon it
            self.file.close()
            raise

    def _hold_back(self, chunk: bytes | memoryview) -> None:
        self._held_back = held_back = (self._held_back or bytearray()) + chunk
        found = self._scanner.values
        if all(tag in found for tag in _SOP_TAGS) or len(held_back) > HELD_BACK_BYTES:
            self._begin_file(sop_of(self._scanner))

    def _begin_file(self, names: tuple[str, str]) -> None:
        """Write the file meta group, and what was held back for it."""
        origin, self._meta_names = self.origin, names
        said = part10.Provenance(
            origin.arrived_at,
            origin.source_ae,
            origin.called_ae,
            origin.fallback_charset,
            origin.stored_by,
        )
        held_back, self._held_back = self._held_back, None
        self._to_file(part10.meta_group(*names, origin.transfer_syntax, said))
        if held_back:
            self._to_file(held_back)

    def _to_file(self, chunk: bytes | bytearray | memoryview) -> None:
        self._space_left -= len(chunk)
        if self._space_left < 0:
            blobs.require_space(self._layout.objects, len(chunk), self._reserve_bytes)
            self._space_left = SPACE_ASKED_EVERY_BYTES
        self.file.write(chunk)

    def _entry(self) -> Entry:
        """Return the entry of the whole object, its bytes durable."""
        self._scanner.finish()
        identity = check_identity(self._scanner, self.origin)
        if self._held_back is not None:
            self._begin_file((identity.sop_class, identity.instance))
        if self._meta_names != (identity.sop_class, identity.instance):
            raise UidMismatch("the data set names two SOP Instances")
        self.file.sync()
        if time.monotonic() - self._begun > LONG_S:  # its hour may have been compared already
            self._hour = hour_of(datetime.now(UTC))
            blobs.ensure_folder(self._layout.folder(self._hour))
        stored = Stored(
            hour=self._hour,
            arrived_at=self.origin.arrived_at,
            size_bytes=self.file.size_bytes,
            received_sha256=self._hash.hexdigest(),
            transfer_syntax=self.origin.transfer_syntax,
            source_ae=self.origin.source_ae,
        )
        return entry_of(self._scanner, identity, stored, self.origin.fallback_charset)
