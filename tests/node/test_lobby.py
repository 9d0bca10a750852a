"""Connections beyond the limits: a few are told so, a flood is cut off, others are served."""

from __future__ import annotations

import select
import socket
import time

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from dicom_node.config import CONFIG
from dicom_node.dimse.server import lobby
from dicom_node.dimse.server.lobby import Lobby


def test_an_address_takes_its_own_seats_alone():
    room = Lobby()
    assert [room.enter("10.0.0.1") for _ in range(lobby.SEATS_PER_ADDRESS + 1)].count(True) == (
        lobby.SEATS_PER_ADDRESS
    )
    assert room.enter("10.0.0.2")
    room.leave("10.0.0.1")
    assert room.enter("10.0.0.1")
    assert not room.enter("10.0.0.1")


def test_the_room_is_full_when_all_seats_are_taken():
    room = Lobby()
    assert all(room.enter(f"10.0.0.{number}") for number in range(lobby.SEATS))
    assert not room.enter("10.1.0.1")
    room.leave("10.0.0.7")
    assert room.enter("10.1.0.1")


@pytest.fixture
def flood(server):
    """Many connections from one address that say nothing."""
    opened = []
    for _ in range(CONFIG.max_associations_per_peer + 100):
        connection = socket.socket()
        connection.bind(("127.0.0.2", 0))
        connection.connect(("127.0.0.1", server.port))
        opened.append(connection)
    yield opened
    for connection in opened:
        connection.close()


def test_a_silent_flood_holds_its_share_and_others_are_served(server, flood):
    most = CONFIG.max_associations_per_peer + lobby.SEATS_PER_ADDRESS
    deadline = time.monotonic() + 10
    while still_open(flood) > most:
        assert time.monotonic() < deadline, f"{still_open(flood)} connections are open"
        time.sleep(0.02)
    ae = AE(ae_title="WS1")
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", server.port)
    assert association.is_established
    assert association.send_c_echo().Status == 0x0000
    association.release()


def still_open(connections: list[socket.socket]) -> int:
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    return len(connections) - len(poll.poll(0))  # what can be read was closed
