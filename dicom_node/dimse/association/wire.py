"""PDUs on one connected socket (PS3.8 9.3): blocking, for one thread, in bounded memory.

A reader asks for one PDU at a time and gets a view into the wire's own buffer, valid until it
asks again; bytes are read ahead as far as the buffer goes, so that a stream of P-DATA costs
few system calls.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Sequence
from itertools import chain, islice

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 0x04, 0x05, 0x06, 0x07
HEADER = struct.Struct(">BxL")
MAX_ASSOCIATE_BYTES = 1 << 20
BY_USER, BY_PROVIDER = 0, 2  # who aborts (PS3.8 9.3.8)
NO_REASON, UNEXPECTED_PDU, INVALID_PDU = 0, 2, 6
MAX_VECTORS = 512  # of one sendmsg; the kernel takes 1,024


class AssociationEnded(Exception):
    """The association is over though nobody released it; str() tells why in one line."""


class PeerGone(AssociationEnded):
    """The peer closed or reset the connection."""


class PeerSilent(AssociationEnded):
    """The peer sent (or took) nothing for too long."""


class PeerAborted(AssociationEnded):
    """The peer sent an A-ABORT."""


class BadPdu(AssociationEnded):
    """The peer sent what no rule of PS3.8 allows here; `reason` is what an A-ABORT tells it."""

    def __init__(self, why: str, reason: int = INVALID_PDU) -> None:
        super().__init__(why)
        self.reason = reason


class Wire:
    """One connection; `max_pdu_bytes` is the longest P-DATA that is taken."""

    def __init__(self, connection: socket.socket, *, idle_s: float, max_pdu_bytes: int) -> None:
        self._socket = connection
        self._is_tls = isinstance(connection, ssl.SSLSocket)
        self.max_pdu_bytes = max_pdu_bytes
        self._buffer = bytearray(2 * (max_pdu_bytes + HEADER.size))
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._held: list[bytes | memoryview] = []
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.set_idle(idle_s)

    def set_idle(self, idle_s: float) -> None:
        """Let every read and write end with PeerSilent after `idle_s` seconds without a byte."""
        if self._is_tls:
            self._socket.settimeout(idle_s)
            return
        self._socket.settimeout(None)  # the kernel waits: one system call a read, not two
        seconds, rest = divmod(max(idle_s, 0.001), 1)
        limit = struct.pack("@ll", int(seconds), int(rest * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def read(self) -> tuple[int, memoryview]:
        """Return type and body of the next PDU; raises AssociationEnded."""
        kind, length = self._header()
        size = HEADER.size + length
        while self._end - self._start < size:
            self._receive()  # it may move what is unread
        start = self._start
        self._start = start + size
        return kind, self._view[start + HEADER.size : start + size]

    def read_associate(self, within_s: float) -> tuple[int, bytes]:
        """Return type and all bytes of the first PDU, which must have come within `within_s`."""
        deadline = time.monotonic() + within_s
        found = bytearray()
        while len(found) < HEADER.size:
            found += self._receive_before(deadline, HEADER.size - len(found))
        kind, length = HEADER.unpack(found)
        if not ASSOCIATE_RQ <= kind <= ABORT:
            raise BadPdu("the peer does not speak DICOM", UNEXPECTED_PDU)
        if length > MAX_ASSOCIATE_BYTES:
            raise BadPdu(f"an association PDU of {length} bytes")
        while len(found) < HEADER.size + length:
            found += self._receive_before(deadline, HEADER.size + length - len(found))
        return kind, bytes(found)

    def waits(self, wait_s: float = 0.0) -> bool:
        """Return whether something can be read, at once or within `wait_s` seconds."""
        if self._start < self._end or (self._is_tls and self._socket.pending()):
            return True
        if wait_s:
            self.flush()
        return bool(self._poll.poll(wait_s * 1000))

    def hold(self, parts: Iterable[bytes | memoryview]) -> None:
        """Keep buffers back, to be sent with the next write, or before anything is waited for."""
        self._held += parts

    def flush(self) -> None:
        """Send what is held; raises AssociationEnded."""
        if self._held:
            self.write(())

    def write(self, parts: Iterable[bytes | memoryview]) -> None:
        """Send buffers one after the other, few held at a time; raises AssociationEnded."""
        held, self._held = self._held, []
        coming = chain(held, parts)
        while some := list(islice(coming, MAX_VECTORS)):
            with _failures():
                if self._is_tls:
                    self._socket.sendall(b"".join(some))
                else:
                    self._send(some)

    def abort(self, source: int = BY_USER, reason: int = NO_REASON) -> None:
        """Send an A-ABORT, as far as the peer still takes it, and close."""
        try:
            self.set_idle(1.0)
            self.write([HEADER.pack(ABORT, 4) + bytes([0, 0, source, reason])])
        except (AssociationEnded, OSError):
            pass  # it is over anyway
        self.close()

    def wait_for_close(self, within_s: float = 1.0) -> None:
        """Let the peer close first, so that what was just sent is not lost to a reset."""
        with contextlib.suppress(AssociationEnded, OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._receive_before(time.monotonic() + within_s, 1)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _header(self) -> tuple[int, int]:
        while self._end - self._start < HEADER.size:
            self._receive()
        kind, length = HEADER.unpack_from(self._buffer, self._start)
        if not ASSOCIATE_RQ <= kind <= ABORT:
            raise BadPdu(f"a PDU of type 0x{kind:02X}", 1)
        if length > self.max_pdu_bytes:
            raise BadPdu(f"a PDU of {length} bytes; {self.max_pdu_bytes} were agreed")
        return kind, length

    def _receive(self) -> None:
        """Read what the socket has, at least one byte, after what is unread."""
        self.flush()  # the peer may wait for it
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start > len(self._buffer) // 2:
            unread = self._end - self._start
            self._view[:unread] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, unread
        with _failures():
            count = self._socket.recv_into(self._view[self._end :])
        if count == 0:
            raise PeerGone("the peer closed the connection")
        self._end += count

    def _receive_before(self, deadline: float, most: int) -> bytes:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise PeerSilent("no association PDU came in time")
        self._socket.settimeout(remaining)
        with _failures():
            found = self._socket.recv(min(most, 65536))
        if not found:
            raise PeerGone("the peer closed the connection")
        return found

    def _send(self, parts: Sequence[bytes | memoryview]) -> None:
        total = sum(map(len, parts))
        sent = self._socket.sendmsg(parts)
        if sent < total:
            self._socket.sendall(memoryview(b"".join(parts))[sent:])


def interrupt(connection: socket.socket) -> None:
    """End what another thread reads or writes there; the peer sees the connection close.

    Not by SSLSocket.shutdown, which would let that thread go on without TLS.
    """
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


@contextlib.contextmanager
def _failures():
    """Translate what a socket says into the end of the association."""
    try:
        yield
    except (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        raise PeerSilent("the peer was silent for too long") from None
    except (OSError, ValueError) as error:  # ValueError: closed in another thread
        raise PeerGone(f"the connection broke: {error}") from None
