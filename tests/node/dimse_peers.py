"""Peers by pynetdicom for the tests of what the node sends: storage SCPs, and rude listeners."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

from dicom_node.peers import Destination, Peer, book

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
NATIVE = (EXPLICIT, IMPLICIT)


@dataclass
class Storage:
    """A storage SCP: what it was sent, in order, and what each request said."""

    port: int = 0
    kept: list[Dataset] = field(default_factory=list)
    requests: list[object] = field(default_factory=list)
    associations: int = 0
    on_store: Callable[[evt.Event], int] = lambda event: 0x0000
    on_end: Callable[[str], object] = lambda how: None

    @property
    def uids(self) -> list[str]:
        """The SOP Instance UIDs that it was sent."""
        return [str(request.AffectedSOPInstanceUID) for request in self.requests]

    def store(self, event: evt.Event) -> int:
        """Keep an object as it came, unless `on_store` refuses it."""
        self.requests.append(event.request)
        status = self.on_store(event)
        if status >> 12 in (0x0, 0xB):
            self.kept.append(as_file(event))
        return status

    def accepted(self, event: evt.Event) -> None:
        """Count an association."""
        self.associations += 1

    def ended(self, event: evt.Event) -> None:
        """Tell how an association ended."""
        self.on_end(event.event.name)


def as_file(event: evt.Event) -> Dataset:
    """Return what a C-STORE brought, read back with its file meta."""
    return dcmread(DicomBytesIO(event.encoded_dataset()))


@contextlib.contextmanager
def storage(
    *syntaxes: str, classes: tuple[str, ...] = (CTImageStorage,), title: str = "DEST"
) -> Iterator[Storage]:
    """Run a storage SCP that takes `syntaxes` (uncompressed where none is named)."""
    ae = AE(ae_title=title)
    for sop_class in classes:
        ae.add_supported_context(sop_class, list(syntaxes or NATIVE))
    found = Storage()
    handlers = [(evt.EVT_C_STORE, found.store), (evt.EVT_ACCEPTED, found.accepted)]
    for ending in (evt.EVT_RELEASED, evt.EVT_ABORTED):
        handlers.append((ending, found.ended))
    scp = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    found.port = scp.socket.getsockname()[1]
    try:
        yield found
    finally:
        scp.shutdown()


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Listen, take connections, and never say a word; yields the port."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_take, args=(listener, taken), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for connection in taken:
        connection.close()


def _take(listener: socket.socket, taken: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        while True:
            taken.append(listener.accept()[0])


@contextlib.contextmanager
def known_as(title: str, port: int) -> Iterator[None]:
    """Let the node know a peer that listens on a port of this machine."""
    book.put(Peer(title, listens=Destination(title, "127.0.0.1", port)))
    try:
        yield
    finally:
        book.remove(title)
