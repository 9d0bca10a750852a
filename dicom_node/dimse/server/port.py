"""The node's DICOM port within one process: one thread for each association."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connections

from dicom_node import audit, measures
from dicom_node.config import CONFIG
from dicom_node.dimse.association.acceptor import Rejected, accept
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.tls import ServerTls, certificate_of, reason
from dicom_node.dimse.association.wire import AssociationEnded, BadPdu, Wire, interrupt
from dicom_node.dimse.server.admission import Door
from dicom_node.dimse.server.lobby import Lobby
from dicom_node.dimse.server.service import Services
from dicom_node.dimse.server.slots import Slot, Slots
from dicom_node.index.writer import IndexWriter
from dicom_node.ingest.ingest import Ingest
from dicom_node.store.layout import Layout
from pacs_common.logs import new_trace, trace_id

LOG = logging.getLogger(__name__)
BACKLOG = 256
HANDSHAKE_S = 10.0
YIELD_S = 0.003  # what a busier process leaves the others to take a connection first


@dataclass(frozen=True)
class Listener:
    """A bound socket, with TLS or without."""

    socket: socket.socket
    tls: ServerTls | None = None


def listen(host: str, port: int) -> socket.socket:
    """Bind an address for DICOM; raises OSError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
    bound.setblocking(False)
    return bound


class DicomServer:
    """Serves bound sockets until it is stopped; several processes may share them."""

    def __init__(
        self,
        layout: Layout,
        listeners: Sequence[Listener],
        *,
        reserve_bytes: int,
        slots: Slots | None = None,
        process: int = 0,
    ) -> None:
        self._listeners = {one.socket.fileno(): one for one in listeners}
        self._port = int(listeners[0].socket.getsockname()[1])
        self._own = slots is None
        self._slots = slots or Slots(1, CONFIG.max_associations, CONFIG.max_associations_per_peer)
        self._lobby = Lobby()
        self._process = process
        self._index = IndexWriter()
        self._services = Services(Ingest(layout, self._index, reserve_bytes), layout)
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._alarm, self._woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="dicom-accept", daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        """The first port that is really bound (for port 0)."""
        return self._port

    def stop(self) -> None:
        """Take no more, end associations, and write what is still waiting for the index."""
        self._stopping.set()
        self._alarm.send(b"x")
        self._acceptor.join()
        with self._lock:
            open_ones, threads = list(self._connections), list(self._threads)
        for connection in open_ones:
            interrupt(connection)
        for thread in threads:
            thread.join()
        self._index.close()
        self._alarm.close()
        self._woken.close()
        for listener in self._listeners.values():
            listener.socket.close()
        if self._own:
            self._slots.close()

    def _accept(self) -> None:
        poll = select.poll()
        for fileno in [*self._listeners, self._woken.fileno()]:
            poll.register(fileno, select.POLLIN)
        while not self._stopping.is_set():
            for fileno, _ in poll.poll():
                if fileno in self._listeners:
                    self._take(self._listeners[fileno])

    def _take(self, listener: Listener) -> None:
        """Take one connection, unless a process with less to do does it first."""
        if self._slots.is_busier(self._process):
            time.sleep(YIELD_S)
        try:
            connection, address = listener.socket.accept()
        except (BlockingIOError, ConnectionError):
            return  # another process has it, or it is gone
        except OSError as error:
            LOG.error("no connection can be taken: %s", error)
            time.sleep(0.1)  # out of descriptors: it may pass
            return
        slot = self._slots.claim(self._process, address[0])
        if slot is None and not self._lobby.enter(address[0]):
            connection.close()
            measures.association(measures.REJECTED)
            return
        thread = threading.Thread(
            target=self._serve, args=(connection, address[0], listener.tls, slot), daemon=True
        )
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads: it may pass
            LOG.error("no connection can be served: %s", error)
            with self._lock:
                self._threads.discard(thread)
            connection.close()
            self._leave(address[0], slot)

    def _serve(
        self, connection: socket.socket, address: str, tls: ServerTls | None, slot: Slot | None
    ) -> None:
        trace_id.set(new_trace("assoc"))  # of this thread's lines, and of its audit
        try:
            self._associate(connection, address, tls, slot)
        except Exception:  # the DIMSE edge: one association's fault ends that association alone
            LOG.exception("association failed", extra={"peer": address})
        finally:
            connection.close()
            self._leave(address, slot)
            connections.close_all()  # each thread has database connections of its own
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _leave(self, address: str, slot: Slot | None) -> None:
        if slot is None:
            self._lobby.leave(address)
        else:
            slot.release()

    def _associate(
        self, connection: socket.socket, address: str, tls: ServerTls | None, slot: Slot | None
    ) -> None:
        connection.settimeout(HANDSHAKE_S)
        try:
            if tls is not None:
                connection = tls.wrap_socket(connection, do_handshake_on_connect=False)
        except OSError as error:
            _not_served(address, error)
            return
        with self._until_stopped(connection):
            try:
                if tls is not None:
                    connection.do_handshake()
                certificate = certificate_of(connection)
                wire = Wire(connection, idle_s=CONFIG.idle_s, max_pdu_bytes=CONFIG.max_pdu_bytes)
            except OSError as error:  # ssl.SSLError too
                _not_served(address, error)
                return
            self._converse(wire, Door(address, slot, certificate, secured=tls is not None))

    @contextlib.contextmanager
    def _until_stopped(self, connection: socket.socket) -> Iterator[None]:
        """Let `stop` end what waits for this connection; it is closed at the end."""
        with self._lock:
            self._connections.add(connection)
        if self._stopping.is_set():  # `stop` may have looked before
            interrupt(connection)
        try:
            yield
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)

    def _converse(self, wire: Wire, door: Door) -> None:
        address = door.address
        try:
            conversation = accept(
                wire, address, door.admit, within_s=CONFIG.artim_s, idle_s=CONFIG.idle_s
            )
        except Rejected:
            measures.association(measures.REJECTED)
            door.remember_rejection()  # only now: the peer has its answer
            return
        except AssociationEnded as error:
            LOG.info("no association: %s", error, extra={"peer": address})
            if isinstance(error, BadPdu):
                wire.abort(2, error.reason)
            return
        with measures.open_association("tls" if door.secured else "dicom"):
            self._serve_peer(conversation, door)

    def _serve_peer(self, conversation: Conversation, door: Door) -> None:
        begun = time.monotonic()
        measures.association(measures.ACCEPTED)
        audit.note("associated", **conversation.whose, called_ae=conversation.own_ae, **door.how)
        try:
            self._services.serve(conversation)
            lasted_s = round(time.monotonic() - begun, 3)
            measures.association(measures.RELEASED)
            audit.note("ended", **conversation.whose, lasted_s=lasted_s, why="released")
        except AssociationEnded as error:
            self._broken(conversation, error)
        except BaseException:
            measures.association(measures.ABORTED)
            conversation.abort()
            raise

    def _broken(self, conversation: Conversation, error: AssociationEnded) -> None:
        measures.association(measures.ABORTED)
        LOG.warning("association ended: %s", error, extra=conversation.whose)
        audit.note("ended", **conversation.whose, why=str(error))
        conversation.abort(error.reason if isinstance(error, BadPdu) else 0)


def _not_served(address: str, error: OSError) -> None:
    LOG.warning("no connection: %s", reason(error), extra={"peer": address})
    audit.note("rejected", address=address, why=f"no TLS: {reason(error)}")
