"""Messages over a real socket pair: fragments, streams, cancels, releases, broken rules."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_node.dimse.association import command, wire
from dicom_node.dimse.association.conversation import (
    MAX_KEPT,
    MAX_KEPT_BYTES,
    Conversation,
    NothingCame,
)
from dicom_node.dimse.association.messages import PDV, Context, Message
from dicom_node.dimse.association.wire import (
    BadPdu,
    PeerAborted,
    PeerGone,
    PeerSilent,
    Wire,
)
from pacs_common.errors import BadInput

CLASS, SYNTAX = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
ASKED = {"CommandField": command.C_STORE, "MessageID": 7, "AffectedSOPClassUID": CLASS}
CANCEL = {"CommandField": command.C_CANCEL, "MessageIDBeingRespondedTo": 7}


def conversation(end: socket.socket, *, peer_max_pdu: int = 16384) -> Conversation:
    """One side of an association with a single context, 1."""
    contexts = {1: Context(1, CLASS, SYNTAX, as_scu=True, as_scp=True)}
    return Conversation(
        Wire(end, idle_s=2, max_pdu_bytes=16384), contexts, "PEER", "127.0.0.1", "US", peer_max_pdu
    )


@pytest.fixture
def ends() -> Iterator[tuple[Conversation, Conversation]]:
    """Both sides of one association."""
    one, other = socket.socketpair()
    yield conversation(one), conversation(other)
    one.close()
    other.close()


@pytest.fixture
def raw() -> Iterator[tuple[Conversation, socket.socket]]:
    """One side of an association, and the bare socket of the other."""
    one, other = socket.socketpair()
    other.settimeout(5)
    yield conversation(one), other
    one.close()
    other.close()


def p_data(*values: tuple[int, int, bytes]) -> bytes:
    """A P-DATA PDU of presentation data values (context, control, bytes)."""
    body = b"".join(PDV.pack(len(data) + 2, cx, control) + data for cx, control, data in values)
    return wire.HEADER.pack(wire.P_DATA, len(body)) + body


def asked(*, has_data: bool = True) -> tuple[int, int, bytes]:
    """The value that holds a whole command set."""
    return 1, 3, command.encode(ASKED, has_data=has_data)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(min_value=1, max_value=40_000),
    st.lists(st.integers(2, 9000), min_size=1, max_size=8),
    st.sampled_from([128, 1000, 16384, 0]),
)
def test_a_data_set_arrives_as_it_was_sent_however_it_is_cut(
    size: int, cuts: list[int], peer_max_pdu: int
) -> None:
    content = bytes(i % 251 for i in range(2 * size))
    pieces, start = [], 0
    while start < len(content):
        step = cuts[len(pieces) % len(cuts)] & ~1
        pieces.append(content[start : start + step])
        start += step
    one, other = socket.socketpair()
    with one, other:
        # a side that tells no limit gets at most what the other side was ready for here
        sender = conversation(one, peer_max_pdu=peer_max_pdu or 16384)
        receiver = conversation(other)
        thread = threading.Thread(target=sender.send, args=(1, ASKED, iter(pieces)))
        thread.start()
        message = receiver.receive()
        assert message is not None and message.has_data and message.id == 7
        assert b"".join(bytes(chunk) for chunk in receiver.chunks(message)) == content
        thread.join()


def test_what_is_held_goes_out_first_in_one_write_with_what_is_sent_next(
    raw: tuple[Conversation, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    us, peer = raw
    request = Message(us.contexts[1], ASKED, has_data=False)
    us.answer_with_next(request, 0xFF00)
    peer.settimeout(0.1)
    with pytest.raises(TimeoutError):
        peer.recv(1)
    writes = []
    monkeypatch.setattr(us.wire, "_send", writes.append)
    us.send(1, ASKED | {"MessageID": 8}, b"data")
    (sent,) = writes
    us.wire._socket.sendall(b"".join(sent))
    other = conversation(peer)
    assert other.receive().command["Status"] == 0xFF00
    following = other.receive()
    assert (following.id, other.data(following)) == (8, b"data")


@pytest.mark.parametrize("wait_s", [None, 0.5])
def test_what_is_held_goes_out_before_anything_is_waited_for(
    raw: tuple[Conversation, socket.socket], wait_s: float | None
) -> None:
    us, peer = raw
    us.answer_with_next(Message(us.contexts[1], ASKED, has_data=False), 0xFF00)
    waiting = threading.Thread(target=us.receive, args=(wait_s,))
    waiting.start()
    assert conversation(peer).receive().command["Status"] == 0xFF00
    peer.sendall(p_data(asked(has_data=False)))
    waiting.join(5)
    assert not waiting.is_alive()


def test_no_pdu_is_longer_than_the_peer_takes(raw: tuple[Conversation, socket.socket]) -> None:
    us, peer = raw
    us = conversation(us.wire._socket, peer_max_pdu=1001)
    us.send(1, ASKED, b"x" * 5000)
    us.wire.close()
    content = b"".join(iter(lambda: peer.recv(65536), b""))
    lengths, position = [], 0
    while position < len(content):
        kind, length = wire.HEADER.unpack_from(content, position)
        assert kind == wire.P_DATA
        lengths.append(length)
        position += wire.HEADER.size + length
    assert max(lengths) <= 1001
    assert all(length % 2 == 0 for length in lengths)  # PS3.8 annex E.2: fragments are even


def test_a_peer_that_takes_tiny_pdus_costs_no_memory(
    raw: tuple[Conversation, socket.socket],
) -> None:
    us, peer = raw
    us = conversation(us.wire._socket, peer_max_pdu=8)
    content = bytes(1 << 18)
    reader = threading.Thread(target=lambda: [None for _ in iter(lambda: peer.recv(1 << 20), b"")])
    reader.start()
    tracemalloc.start()
    us.send(1, ASKED, content)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    us.wire.close()
    reader.join()
    assert most < 4 << 20


def test_command_and_data_may_share_one_pdu(raw: tuple[Conversation, socket.socket]) -> None:
    us, peer = raw
    peer.sendall(p_data(asked(), (1, 0, b"ab"), (1, 2, b"cd")))
    message = us.receive()
    assert message is not None
    assert us.data(message) == b"abcd"


def test_a_command_may_come_in_fragments(raw: tuple[Conversation, socket.socket]) -> None:
    us, peer = raw
    encoded = command.encode(ASKED, has_data=False)
    peer.sendall(p_data((1, 1, encoded[:20])) + p_data((1, 3, encoded[20:])))
    message = us.receive()
    assert message is not None and message.command["MessageID"] == 7


def test_a_data_set_that_nobody_read_does_not_stand_in_the_way(
    raw: tuple[Conversation, socket.socket],
) -> None:
    us, peer = raw
    peer.sendall(p_data(asked(), (1, 0, b"ab")) + p_data((1, 2, b"cd")) + p_data(asked()))
    first = us.receive()
    second = us.receive()
    assert first is not None and second is not None and second is not first


def test_a_data_set_longer_than_the_limit_is_refused_and_the_next_message_is_read(
    raw: tuple[Conversation, socket.socket],
) -> None:
    us, peer = raw
    peer.sendall(p_data(asked(), (1, 0, b"x" * 100), (1, 2, b"y" * 100)) + p_data(asked()))
    message = us.receive()
    assert message is not None
    with pytest.raises(BadInput, match="longer than 150 bytes"):
        us.data(message, 150)
    assert us.receive() is not None


def test_a_cancel_is_seen_without_waiting(ends: tuple[Conversation, Conversation]) -> None:
    us, peer = ends
    assert not us.is_cancelled(7)
    peer.send(1, CANCEL)
    assert us.is_cancelled(7)
    assert not us.is_cancelled(8)


def test_what_comes_beside_a_cancel_is_kept_for_later(
    ends: tuple[Conversation, Conversation],
) -> None:
    us, peer = ends
    peer.send(1, {**ASKED, "MessageID": 9}, b"data")
    peer.send(1, CANCEL)
    assert us.is_cancelled(7)
    message = us.receive()
    assert message is not None and message.id == 9
    assert us.data(message) == b"data"


def test_a_long_data_set_that_comes_while_a_cancel_is_looked_for_is_left_on_the_wire(
    ends: tuple[Conversation, Conversation],
) -> None:
    us, peer = ends
    piece = bytes(range(256)) * 4096
    sending = threading.Thread(target=peer.send, args=(1, ASKED, [piece] * 40))
    sending.start()
    while not us.wire.waits(1.0):
        pass
    assert not us.is_cancelled(7) and not us.is_cancelled(7)
    assert sending.is_alive()
    message = us.receive()
    assert message is not None and message.id == ASKED["MessageID"]
    assert b"".join(map(bytes, us.chunks(message))) == piece * 40
    sending.join()
    peer.send(1, {**ASKED, "MessageID": 9})
    following = us.receive()
    assert following is not None and following.id == 9


def test_a_peer_that_never_stops_asking_is_not_listened_to_for_ever(
    ends: tuple[Conversation, Conversation],
) -> None:
    us, peer = ends
    numbers = range(1, 200)
    for number in numbers:
        peer.send(1, {**ASKED, "MessageID": number})
    peer.send(1, CANCEL)
    assert not us.is_cancelled(7)
    asked = [us.receive() for _ in numbers]
    assert [message.id for message in asked if message is not None] == list(numbers)
    assert us.is_cancelled(7)


def test_a_cancel_of_what_is_over_is_passed_over(ends: tuple[Conversation, Conversation]) -> None:
    us, peer = ends
    peer.send(1, CANCEL)
    peer.send(1, {**ASKED, "MessageID": 9})
    message = us.receive()
    assert message is not None and message.id == 9


def test_a_cancel_counts_for_one_request_and_not_for_the_next_of_that_number(
    ends: tuple[Conversation, Conversation],
) -> None:
    us, peer = ends
    peer.send(1, ASKED)
    us.receive()
    peer.send(1, CANCEL)
    assert us.is_cancelled(7)
    peer.send(1, ASKED)  # many peers number every request alike
    us.receive()
    assert not us.is_cancelled(7)


def test_a_late_cancel_does_not_cancel_the_next_request_of_that_number(
    ends: tuple[Conversation, Conversation],
) -> None:
    us, peer = ends
    peer.send(1, CANCEL)  # of what was answered already
    peer.send(1, ASKED)
    us.receive()
    assert not us.is_cancelled(7)


def test_requests_far_ahead_of_their_turn_wait_in_the_socket(
    ends: tuple[Conversation, Conversation],
) -> None:
    us, peer = ends
    numbers = [100 + number for number in range(2 * MAX_KEPT)]
    for number in numbers:
        peer.send(1, {**ASKED, "MessageID": number})
    for _ in range(3):
        assert not us.is_cancelled(7)
    assert len(us._kept) == MAX_KEPT
    assert [us.receive().id for _ in numbers] == numbers


def test_a_long_data_set_ahead_of_its_turn_is_kept_in_part_and_read_whole(
    ends: tuple[Conversation, Conversation],
) -> None:
    us, peer = ends
    data = bytes(range(256)) * (3 * MAX_KEPT_BYTES // 256)
    thread = threading.Thread(target=peer.send, args=(1, ASKED, data))
    thread.start()
    while not us._kept:
        assert not us.is_cancelled(8)
    assert not us.is_cancelled(8)
    assert len(us._kept[0].kept) < 2 * MAX_KEPT_BYTES
    message = us.receive()
    assert us.data(message) == data
    thread.join()


def test_a_flood_of_cancels_of_other_requests_holds_no_look_up(
    ends: tuple[Conversation, Conversation],
) -> None:
    us, peer = ends
    for number in range(100):
        peer.send(1, {**CANCEL, "MessageIDBeingRespondedTo": 100 + number})
    assert not us.is_cancelled(7)
    assert us.wire.waits()  # the rest is for the next look


def test_a_released_association_ends_with_none(ends: tuple[Conversation, Conversation]) -> None:
    us, peer = ends
    thread = threading.Thread(target=peer.release)
    thread.start()
    assert us.receive() is None
    thread.join()
    assert us.is_over and peer.is_over


def test_two_sides_that_release_at_once_both_end(ends: tuple[Conversation, Conversation]) -> None:
    threads = [threading.Thread(target=side.release) for side in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert all(side.is_over for side in ends) and not any(t.is_alive() for t in threads)


def test_a_peer_that_goes_on_sending_instead_of_releasing_is_left(
    raw: tuple[Conversation, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    us, peer = raw
    monkeypatch.setattr("dicom_node.dimse.association.conversation.RELEASE_S", 0.2)
    releasing = threading.Thread(target=us.release, daemon=True)
    releasing.start()
    until = time.monotonic() + 5
    with contextlib.suppress(OSError):
        while time.monotonic() < until:
            peer.sendall(p_data((1, 0, b"ab")))
    assert time.monotonic() < until, "it is read from for ever"
    releasing.join()


def test_a_wait_that_brings_nothing_says_so(ends: tuple[Conversation, Conversation]) -> None:
    with pytest.raises(NothingCame):
        ends[0].receive(wait_s=0.01)


def test_an_abort_ends_the_association(ends: tuple[Conversation, Conversation]) -> None:
    us, peer = ends
    peer.abort()
    with pytest.raises(PeerAborted):
        us.receive()


def test_a_peer_that_vanishes_ends_the_association(
    raw: tuple[Conversation, socket.socket],
) -> None:
    us, peer = raw
    peer.sendall(p_data(asked(), (1, 0, b"ab"))[:-1])
    peer.close()
    with pytest.raises(PeerGone):
        us.drain(us.receive())


def test_a_silent_peer_ends_the_association(raw: tuple[Conversation, socket.socket]) -> None:
    us, _ = raw
    us.wire.set_idle(0.05)
    with pytest.raises(PeerSilent):
        us.receive()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (p_data((1, 2, b"ab")), "without its command"),
        (p_data((3, 3, b"ab")), "context 3 was not accepted"),
        (p_data(asked(), asked()), "does not belong"),
        (wire.HEADER.pack(wire.P_DATA, 10) + PDV.pack(100, 1, 3) + b"abcd", "longer than its PDU"),
        (wire.HEADER.pack(wire.P_DATA, 6) + PDV.pack(0, 1, 3), "longer than its PDU"),
        (wire.HEADER.pack(wire.P_DATA, 3) + b"abc", "cut"),
        (wire.HEADER.pack(wire.P_DATA, 1 << 31), "were agreed"),
        (wire.HEADER.pack(0x42, 4) + bytes(4), "type 0x42"),
        (wire.HEADER.pack(wire.ASSOCIATE_RQ, 4) + bytes(4), "within an association"),
        (p_data((1, 1, b"x" * 60)) * 1200, "without an end"),
    ],
)
def test_a_peer_that_breaks_the_rules_is_told_apart(
    raw: tuple[Conversation, socket.socket], sent: bytes, why: str
) -> None:
    us, peer = raw
    sender = threading.Thread(target=_send_all, args=(peer, sent))
    sender.start()
    with pytest.raises(BadPdu, match=why):
        us.drain(us.receive())
    us.abort(wire.INVALID_PDU)
    assert b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x06" in peer.recv(100)
    sender.join()


def _send_all(peer: socket.socket, sent: bytes) -> None:
    try:
        peer.sendall(sent)
    except OSError:
        pass  # the other side had enough


def test_message_ids_stay_within_sixteen_bits(ends: tuple[Conversation, Conversation]) -> None:
    us = ends[0]
    us._last_message_id = 65535
    assert [us.next_message_id(), us.next_message_id()] == [1, 2]
