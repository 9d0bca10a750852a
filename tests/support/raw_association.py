"""DICOM's upper layer by hand (PS3.8 9.3): each byte that goes out is the test's own."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
IMPLEMENTATION = "1.2.826.0.1.3680043.10.1361.9"
C_STORE_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0030, 0x0FFF
NO_DATA, WITH_DATA = 0x0101, 0x0000
PDV_BYTES = 16000
_HEADER = struct.Struct(">BxL")

Context = tuple[int, str, tuple[str, ...]]


class Ended(Exception):
    """The other side closed, aborted or rejected; the text says which."""


def pdu(kind: int, body: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a PDU; `length` may lie about the body's."""
    return _HEADER.pack(kind, len(body) if length is None else length) + body


def item(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    """Return an item or sub-item of an A-ASSOCIATE PDU; `length` may lie."""
    return struct.pack(">BxH", kind, len(body) if length is None else length) + body


def associate_rq(
    contexts: Iterable[Context],
    *,
    called: bytes = b"ARGENS_CT",
    calling: bytes = b"RAW",
    max_pdu: int = 65536,
    more: bytes = b"",
) -> bytes:
    """Return an A-ASSOCIATE-RQ; `more` is appended to its user information."""
    proposed = b"".join(
        item(
            0x20,
            bytes([number, 0, 0, 0])
            + item(0x30, abstract.encode())
            + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes),
        )
        for number, abstract, syntaxes in contexts
    )
    user = item(0x51, struct.pack(">L", max_pdu)) + item(0x52, IMPLEMENTATION.encode()) + more
    fixed = struct.pack(">HH", 1, 0) + called.ljust(16)[:16] + calling.ljust(16)[:16] + bytes(32)
    body = fixed + item(0x10, APPLICATION_CONTEXT.encode()) + proposed + item(0x50, user)
    return pdu(ASSOCIATE_RQ, body)


def element(number: int, value: bytes, *, length: int | None = None) -> bytes:
    """Return an element of group 0000 (Implicit VR Little Endian, PS3.7 6.3.1)."""
    return struct.pack("<HHL", 0, number, len(value) if length is None else length) + value


def ui(uid: str | bytes) -> bytes:
    """Return a UID as a value, of even length."""
    raw = uid if isinstance(uid, bytes) else uid.encode()
    return raw + b"\0" * (len(raw) % 2)


def us(number: int) -> bytes:
    """Return an unsigned short as a value."""
    return struct.pack("<H", number)


def command_set(*elements: bytes, group_length: int | None = None) -> bytes:
    """Return a command set of encoded elements, its group length in front (it may lie)."""
    body = b"".join(elements)
    length = len(body) if group_length is None else group_length
    return element(0x0000, struct.pack("<L", length)) + body


def c_store_rq(uid: str | bytes, message_id: int = 1, sop_class: str = CT_IMAGE) -> bytes:
    """Return the command set of a C-STORE request (PS3.7 9.3.1.1)."""
    return command_set(
        element(0x0002, ui(sop_class)),
        element(0x0100, us(C_STORE_RQ)),
        element(0x0110, us(message_id)),
        element(0x0700, us(0)),
        element(0x0800, us(WITH_DATA)),
        element(0x1000, ui(uid)),
    )


def c_echo_rq(message_id: int = 1) -> bytes:
    """Return the command set of a C-ECHO request (PS3.7 9.3.5.1)."""
    return command_set(
        element(0x0002, ui(VERIFICATION)),
        element(0x0100, us(C_ECHO_RQ)),
        element(0x0110, us(message_id)),
        element(0x0800, us(NO_DATA)),
    )


def pdv(
    context: int, payload: bytes, *, command: bool, last: bool, length: int | None = None
) -> bytes:
    """Return a presentation data value item; `length` may lie (PS3.8 9.3.5.1)."""
    size = len(payload) + 2 if length is None else length
    return struct.pack(">LBB", size, context, command | last << 1) + payload


def p_data(context: int, payload: bytes, *, command: bool, last: bool) -> bytes:
    """Return a P-DATA-TF with one value."""
    return pdu(P_DATA, pdv(context, payload, command=command, last=last))


def data_pdus(context: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a data set as P-DATA-TFs of at most PDV_BYTES, the last one marked."""
    waiting: bytes | None = None
    for chunk in chunks:
        for start in range(0, len(chunk), PDV_BYTES):
            if waiting is not None:
                yield p_data(context, waiting, command=False, last=False)
            waiting = chunk[start : start + PDV_BYTES]
    yield p_data(context, waiting or b"", command=False, last=True)


@dataclass
class Answer:
    """A command set that came back: element number -> value."""

    elements: dict[int, bytes]

    @property
    def status(self) -> int:
        """Its Status (0000,0900)."""
        return int.from_bytes(self.elements[0x0900], "little")

    @property
    def comment(self) -> str:
        """Its Error Comment (0000,0902)."""
        return self.elements.get(0x0902, b"").decode(errors="replace").strip(" \0")


class RawAssociation:
    """A socket to a DICOM port; nothing is sent that the caller does not send."""

    def __init__(self, port: int, timeout_s: float = 30.0, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawAssociation:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def associate(self, *contexts: Context) -> RawAssociation:
        """Establish an association (default: CT by Explicit VR as 1, verification as 3)."""
        try:
            self.send(associate_rq(contexts or DEFAULT_CONTEXTS))
            kind, _ = self.receive()
            if kind != ASSOCIATE_AC:
                raise Ended(f"PDU {kind} in answer to A-ASSOCIATE-RQ")
        except (OSError, Ended):
            self.socket.close()
            raise
        return self

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """Return the next PDU as (type, body); raises Ended where the other side has closed."""
        kind, length = _HEADER.unpack(self._exactly(6))
        return kind, self._exactly(length)

    def answer(self) -> Answer:
        """Return the next command set, any data set after it left unread; raises Ended."""
        command = b""
        while True:
            kind, body = self.receive()
            if kind != P_DATA:
                raise Ended(f"PDU {kind} instead of an answer")
            for flags, payload in _values(body):
                if flags & 1:
                    command += payload
                if flags & 3 == 3:
                    return Answer(_elements(command))

    def echo(self, context: int = 3) -> int:
        """Return the status of a C-ECHO."""
        self.send(p_data(context, c_echo_rq(), command=True, last=True))
        return self.answer().status

    def begin_store(self, uid: str | bytes, context: int = 1, sop_class: str = CT_IMAGE) -> None:
        """Send a C-STORE request's command set; its data set is to follow."""
        command = c_store_rq(uid, sop_class=sop_class)
        self.send(p_data(context, command, command=True, last=True))

    def store(
        self, uid: str, data_set: bytes | Iterable[bytes], context: int = 1,
        sop_class: str = CT_IMAGE,
    ) -> Answer:  # fmt: skip
        """Send an object, its data set in one piece or as it is made, and return the answer."""
        self.begin_store(uid, context, sop_class)
        chunks = [data_set] if isinstance(data_set, bytes) else data_set
        for one in data_pdus(context, chunks):
            self.send(one)
        return self.answer()

    def release(self) -> None:
        """Release the association and close."""
        with contextlib.suppress(OSError, Ended):
            self.send(pdu(RELEASE_RQ, bytes(4)))
            self.receive()
        self.socket.close()

    def reset(self) -> None:
        """Close so that the other side gets a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def ends_within(self, wait_s: float) -> bool:
        """True where the other side closes or aborts within `wait_s`, whatever it says first."""
        self.socket.settimeout(wait_s)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:  # reset
            return True
        return True

    def _exactly(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            try:
                part = self.socket.recv(size - len(got))
            except ConnectionError as error:
                raise Ended(str(error)) from None
            if not part:
                raise Ended("closed")
            got += part
        return bytes(got)


DEFAULT_CONTEXTS: tuple[Context, ...] = (
    (1, CT_IMAGE, (EXPLICIT,)),
    (3, VERIFICATION, (IMPLICIT,)),
)


def _values(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (control header, fragment) of each presentation data value of a P-DATA-TF."""
    while body:
        (length,) = struct.unpack(">L", body[:4])
        yield body[5], body[6 : 4 + length]
        body = body[4 + length :]


def _elements(command: bytes) -> dict[int, bytes]:
    found = {}
    while command:
        _, number, length = struct.unpack("<HHL", command[:8])
        found[number] = command[8 : 8 + length]
        command = command[8 + length :]
    return found
