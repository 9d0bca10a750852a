"""Peers that vanish, stall, flood or say nothing: their own loss, and nobody else's."""

from __future__ import annotations

import socket
import time

import pytest

from tests.support import roles
from tests.support.node_under_fault import (
    assert_kept,
    left_overs,
    serving,
    small_object,
    store,
    wait_until,
)
from tests.support.raw_association import (
    ABORT,
    ASSOCIATE_AC,
    DEFAULT_CONTEXTS,
    Ended,
    RawAssociation,
    associate_rq,
    data_pdus,
    pdu,
)

SLOTS, SLOTS_OF_ONE_PEER = 8, 4
IDLE_S, ARTIM_S = 2.0, 2.0
SIDE = 512
OTHER_ADDRESS = "127.0.0.2"
WAYS = ("reset", "closed", "aborted", "silent")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    settings = {
        "PACS_MAX_ASSOCIATIONS": str(SLOTS),
        "PACS_MAX_ASSOCIATIONS_PER_PEER": str(SLOTS_OF_ONE_PEER),
        "PACS_DICOM_IDLE_S": str(IDLE_S),
        "PACS_DICOM_ARTIM_S": str(ARTIM_S),
    }
    with serving(tmp_path_factory.mktemp("vanishing"), **settings) as node:
        yield node


def half_sent(node: roles.Role, number: int) -> RawAssociation:
    """Return an association in the middle of a P-DATA of an object."""
    uid, data_set = small_object(number, Rows=SIDE, Columns=SIDE, PixelData=bytes(2 * SIDE * SIDE))
    association = RawAssociation(node.dicom_port).associate()
    association.begin_store(uid)
    pdus = list(data_pdus(1, [data_set]))
    for one in pdus[: len(pdus) // 2]:
        association.send(one)
    association.send(pdus[len(pdus) // 2][:1000])
    return association


def vanish(association: RawAssociation, way: str) -> None:
    if way == "reset":
        association.reset()
    elif way == "closed":
        association.socket.close()
    elif way == "aborted":
        association.send(pdu(ABORT, bytes(4)))
        association.socket.close()


def assert_serves(node: roles.Role, number: int) -> None:
    """Another peer's C-ECHO and C-STORE go on."""
    uid, data_set = small_object(number)
    with RawAssociation(node.dicom_port).associate() as association:
        assert association.echo() == 0
        assert association.store(uid, data_set).status == 0
        association.release()
    assert_kept(node, {uid: data_set})


@pytest.mark.parametrize("way", WAYS)
def test_a_peer_that_vanishes_in_mid_pdu_leaves_no_file_and_no_slot_taken(node, way):
    number = 100 * (1 + WAYS.index(way))
    gone = [half_sent(node, number + n) for n in range(SLOTS_OF_ONE_PEER - 1)]
    assert_serves(node, number + 50)
    for association in gone:
        vanish(association, way)
    if way == "silent":
        assert all(association.ends_within(10 * IDLE_S) for association in gone)
    wait_until(lambda: not left_overs(node), lambda: f"left: {left_overs(node)}")
    again = []
    try:
        for _ in range(SLOTS_OF_ONE_PEER):  # the slots have come back
            wait_until(lambda: is_let_in(node, again), lambda: "a slot did not come back")
    finally:
        for association in again:
            association.release()
        for association in gone:
            association.socket.close()
    wait_until(lambda: is_let_in(node, again), lambda: "no slot came back")
    again[-1].release()


def is_let_in(node: roles.Role, established: list[RawAssociation]) -> bool:
    """Associate and keep the association; False where the node has no room yet."""
    association = RawAssociation(node.dicom_port)
    association.send(associate_rq(DEFAULT_CONTEXTS))
    try:
        kind, _ = association.receive()
    except (OSError, Ended):
        kind = ABORT
    if kind != ASSOCIATE_AC:
        association.socket.close()
        return False
    established.append(association)
    return True


def test_connections_that_say_nothing_are_closed_and_cost_others_nothing(node):
    silent = [RawAssociation(node.dicom_port) for _ in range(SLOTS_OF_ONE_PEER - 1)]
    try:
        assert_serves(node, 1000)
        assert all(association.ends_within(10 * ARTIM_S) for association in silent)
    finally:
        for association in silent:
            association.socket.close()


def test_a_request_that_comes_a_byte_at_a_time_is_cut_off(node):
    request = associate_rq(DEFAULT_CONTEXTS)
    with RawAssociation(node.dicom_port) as slow:
        began = time.monotonic()
        slow.socket.settimeout(0.25)
        for byte in request:
            try:
                slow.send(bytes([byte]))
                if not slow.socket.recv(1024):
                    break
            except TimeoutError:
                pass
            except OSError:
                break
            if time.monotonic() - began > 10 * ARTIM_S:
                pytest.fail("a request that trickles in holds its connection for ever")
    assert_serves(node, 1100)


def test_a_flood_from_one_address_leaves_room_for_the_others(node):
    flood = [connected_from(OTHER_ADDRESS, node.dicom_port) for _ in range(5 * SLOTS)]
    try:
        for number in range(3):
            assert_serves(node, 1200 + number)
    finally:
        for connection in flood:
            connection.close()
    assert_serves(node, 1300)


def test_associations_that_trickle_leave_room_for_the_others(node):
    """A peer that keeps its associations alive byte by byte holds its own share alone."""
    slow = []
    try:
        for number in range(SLOTS_OF_ONE_PEER):
            association = RawAssociation(node.dicom_port, source=OTHER_ADDRESS).associate()
            slow.append(association)
            association.begin_store(f"1.2.3.{number}")
            association.send(next(data_pdus(1, [bytes(1000)]))[:10])
        uid, data_set = small_object(1400)
        for _ in range(3):
            for association in slow:
                association.send(b"\0")
            assert store(node, uid, data_set).status == 0
            time.sleep(0.2)
    finally:
        for association in slow:
            association.socket.close()
    wait_until(lambda: not left_overs(node))


def connected_from(address: str, port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 5, source_address=(address, 0))
