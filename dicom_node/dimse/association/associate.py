"""The PDUs that open an association (PS3.8 9.3.2 to 9.3.4, PS3.7 annex D), read and written.

Written without a library's primitives: those validate and build a few thousand objects for the
128 contexts that many modalities propose, a tenth of a second for each association, and many
modalities open one for each image.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dicom_node.dimse.association.wire import ASSOCIATE_AC, ASSOCIATE_RQ, HEADER, BadPdu
from dicom_node.peers import Identity
from dicom_node.store.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
PROTOCOL = 1
ACCEPTED, USER_REJECTED, UNKNOWN_SOP_CLASS, UNKNOWN_SYNTAXES = 0, 1, 3, 4  # PS3.8 9.3.3.2
_FIXED = struct.Struct(">Hxx16s16s32s")  # PS3.8 table 9-11: version, called, calling, reserved
_ITEM = struct.Struct(">BxH")
_APPLICATION, _PROPOSED, _RESULT, _ABSTRACT, _TRANSFER = 0x10, 0x20, 0x21, 0x30, 0x40
_USER, _MAX_LENGTH, _CLASS_UID, _ASYNC, _ROLE = 0x50, 0x51, 0x52, 0x53, 0x54
_VERSION, _EXTENDED, _IDENTITY, _IDENTITY_ANSWER = 0x55, 0x56, 0x58, 0x59


@dataclass(frozen=True)
class Proposed:
    """A presentation context of a request."""

    id: int
    sop_class: str
    syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """The answer to one proposed context; its syntax counts only where it is accepted."""

    id: int
    result: int
    syntax: str


@dataclass(frozen=True)
class Proposal:
    """One presentation context that we propose, the role we want in it, and its extension."""

    sop_class: str
    syntaxes: tuple[str, ...]
    scu: bool = True
    scp: bool = False
    extended: bytes = b""


@dataclass(frozen=True)
class UserItems:
    """The user information that matters here; `roles` are the requestor's, (SCU, SCP)."""

    max_pdu: int = 0
    roles: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    identity: Identity | None = None
    identity_response: bytes | None = None
    has_async_window: bool = False


@dataclass(frozen=True)
class Request:
    """An A-ASSOCIATE-RQ; items that PS3.8 does not know are passed over (9.3.1)."""

    calling_ae: str
    called_ae: str
    contexts: list[Proposed]
    user: UserItems
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = PROTOCOL
    titles: bytes = b""  # both titles and the reserved bytes, which an answer repeats


@dataclass(frozen=True)
class Answer:
    """An A-ASSOCIATE-AC."""

    results: list[Result]
    user: UserItems


def read_request(encoded: bytes) -> Request:
    """Return what a peer asks for; raises BadPdu."""
    version, called, calling = _fixed(encoded)
    contexts: list[Proposed] = []
    user, application_context = UserItems(), ""
    for kind, item in _items(encoded, HEADER.size + _FIXED.size):
        if kind == _APPLICATION:
            application_context = _text(item)
        elif kind == _PROPOSED:
            contexts.append(_proposed(item))
        elif kind == _USER:
            user = _user_items(item)
    titles = encoded[HEADER.size + 4 : HEADER.size + _FIXED.size]
    usable = [context for context in contexts if context.sop_class and context.syntaxes]
    return Request(
        _text(calling), _text(called), usable, user, application_context, version, titles
    )


def read_answer(encoded: bytes) -> Answer:
    """Return what a peer agreed to; raises BadPdu."""
    _fixed(encoded)
    results: list[Result] = []
    user = UserItems()
    for kind, item in _items(encoded, HEADER.size + _FIXED.size):
        if kind == _RESULT:
            results.append(_result(item))
        elif kind == _USER:
            user = _user_items(item)
    return Answer(results, user)


def write_request(
    called_ae: str, calling_ae: str, proposals: list[Proposal], max_pdu_bytes: int
) -> bytes:
    """Return an A-ASSOCIATE-RQ whose contexts have the ids 1, 3, 5 and so on."""
    titles = called_ae.encode("ascii", "replace").ljust(16)[:16]
    titles += calling_ae.encode("ascii", "replace").ljust(16)[:16] + bytes(32)
    contexts = []
    for number, one in enumerate(proposals):
        names = [_item(_ABSTRACT, one.sop_class.encode())]
        names += [_item(_TRANSFER, syntax.encode()) for syntax in one.syntaxes]
        contexts.append(_item(_PROPOSED, bytes([2 * number + 1, 0, 0, 0]) + b"".join(names)))
    roles = {p.sop_class: (p.scu, p.scp) for p in proposals if p.scp or not p.scu}
    extended = {p.sop_class: p.extended for p in proposals if p.extended}
    user = UserItems(max_pdu_bytes, roles, extended)
    return _associate(ASSOCIATE_RQ, titles, contexts, user)


def write_answer(asked: Request, results: Iterable[Result], user: UserItems) -> bytes:
    """Return the A-ASSOCIATE-AC to a request."""
    contexts = [
        _item(
            _RESULT,
            bytes([one.id, 0, one.result, 0]) + _item(_TRANSFER, one.syntax.encode("latin-1")),
        )
        for one in results
    ]
    return _associate(ASSOCIATE_AC, asked.titles, contexts, user)


def _associate(kind: int, titles: bytes, contexts: list[bytes], user: UserItems) -> bytes:
    body = struct.pack(">Hxx", PROTOCOL) + titles
    body += _item(_APPLICATION, APPLICATION_CONTEXT.encode())
    body += b"".join(contexts) + _item(_USER, b"".join(_written(user)))
    return HEADER.pack(kind, len(body)) + body


def _written(user: UserItems) -> Iterator[bytes]:
    yield _item(_MAX_LENGTH, struct.pack(">L", user.max_pdu))
    yield _item(_CLASS_UID, IMPLEMENTATION_CLASS_UID.encode())
    if user.has_async_window:
        yield _item(_ASYNC, struct.pack(">HH", 1, 1))
    for sop_class, roles in user.roles.items():
        yield _item(_ROLE, _counted(sop_class.encode()) + bytes(roles))
    yield _item(_VERSION, IMPLEMENTATION_VERSION.encode())
    for sop_class, information in user.extended.items():
        yield _item(_EXTENDED, _counted(sop_class.encode()) + information)
    if user.identity_response is not None:
        yield _item(_IDENTITY_ANSWER, _counted(user.identity_response))


def _fixed(encoded: bytes) -> tuple[int, bytes, bytes]:
    if len(encoded) < HEADER.size + _FIXED.size:
        raise BadPdu("an association PDU that is cut")
    version, called, calling, _ = _FIXED.unpack_from(encoded, HEADER.size)
    return version, called, calling


def _items(encoded: bytes, position: int = 0) -> Iterator[tuple[int, bytes]]:
    while position < len(encoded):
        if position + _ITEM.size > len(encoded):
            raise BadPdu("an item that is cut")
        kind, length = _ITEM.unpack_from(encoded, position)
        position += _ITEM.size
        if position + length > len(encoded):
            raise BadPdu("an item longer than what holds it")
        yield kind, encoded[position : position + length]
        position += length


def _item(kind: int, content: bytes) -> bytes:
    return _ITEM.pack(kind, len(content)) + content


def _proposed(item: bytes) -> Proposed:
    sop_class, syntaxes = "", []
    for kind, name in _items(item, 4):
        if kind == _ABSTRACT:
            sop_class = _text(name)
        elif kind == _TRANSFER:
            syntaxes.append(_text(name))
    return Proposed(_first_byte(item), sop_class, tuple(filter(None, syntaxes)))


def _result(item: bytes) -> Result:
    syntax = next((_text(name) for kind, name in _items(item, 4) if kind == _TRANSFER), "")
    return Result(_first_byte(item), item[2] if len(item) > 2 else USER_REJECTED, syntax)


def _first_byte(item: bytes) -> int:
    if not item:
        raise BadPdu("a presentation context without its id")
    return item[0]


def _user_items(content: bytes) -> UserItems:
    max_pdu, roles, extended = 0, {}, {}
    identity, response, has_async = None, None, False
    for kind, item in _items(content):
        if kind == _MAX_LENGTH and len(item) == 4:
            max_pdu = int.from_bytes(item, "big")
        elif kind == _ASYNC:
            has_async = True
        elif kind == _ROLE:
            uid, rest = _split(item)
            roles[_text(uid)] = (rest[:1] == b"\1", rest[1:2] == b"\1")
        elif kind == _EXTENDED:
            uid, rest = _split(item)
            extended[_text(uid)] = rest
        elif kind == _IDENTITY:
            identity = _identity(item)
        elif kind == _IDENTITY_ANSWER:
            response = _split(item)[0]
    return UserItems(max_pdu, roles, extended, identity, response, has_async)


def _identity(item: bytes) -> Identity:
    if len(item) < 2:
        raise BadPdu("a user identity that is cut")
    primary, rest = _split(item[2:])
    secondary = _split(rest)[0] if rest else b""
    return Identity(item[0], primary, secondary, wants_response=item[1] == 1)


def _counted(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Return a counted value and what follows it."""
    length = int.from_bytes(content[:2], "big")
    if len(content) < 2 + length:
        raise BadPdu("a sub-item that is cut")
    return content[2 : 2 + length], content[2 + length :]


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip("\0 ")
