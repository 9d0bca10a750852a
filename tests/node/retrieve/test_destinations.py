"""C-MOVE to destinations that fail."""

from __future__ import annotations

import dataclasses
import socket
import threading

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

from dicom_node.config import CONFIG
from dicom_node.peers import Peer, Service, book
from tests.node.dimse_peers import known_as, silent, storage
from tests.node.objects import SERIES, ct
from tests.node.retrieve.callers import MOVE, Answer, calling, study

pytestmark = pytest.mark.slow  # real peers, real waiting


def test_a_move_to_an_unknown_destination_is_a801(caller, take):
    take(ct())
    (answer,) = caller.ask(MOVE, study(), "NOWHERE")
    assert answer.status == 0xA801
    assert "NOWHERE" in answer.comment


def test_a_move_to_a_destination_that_is_not_granted_is_refused(server, take, monkeypatch):
    take(ct())
    strict = dataclasses.replace(CONFIG, accept_loopback=False)
    monkeypatch.setattr(book, "CONFIG", strict)
    may = frozenset({Service.RETRIEVE})
    with storage() as found, known_as("DEST", found.port):
        book.put(Peer("WS9", ("127.0.0.1",), may=may, destinations=frozenset({"WS9"})))
        try:
            with calling(server.port, title="WS9") as caller:
                (answer,) = caller.move()
        finally:
            book.remove("WS9")
    assert answer.status == 0x0124
    assert found.kept == []


def test_a_destination_that_cannot_be_reached_fails_everything_at_once(caller, take):
    for number in (1, 2, 3):
        take(ct(number))
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with known_as("DEST", port):
        (answer,) = caller.move()
    assert (answer.status, answer.counts) == (0xA702, (None, 0, 3, 0))
    assert answer.failed == [f"{SERIES}.{n}" for n in (1, 2, 3)]
    assert "refused" in answer.comment.lower()


def test_a_destination_that_rejects_says_why(caller, take):
    take(ct())
    ae = AE(ae_title="STRICT")
    ae.require_called_aet = True
    ae.add_supported_context(CTImageStorage)
    scp = ae.start_server(("127.0.0.1", 0), block=False)
    with known_as("DEST", scp.socket.getsockname()[1]):
        (answer,) = caller.move()
    scp.shutdown()
    assert answer.status == 0xA702
    assert "rejected" in answer.comment.lower()


def test_a_destination_that_hangs_fails_after_its_time_and_holds_up_nobody(
    server, take, destination, patience
):
    patience(peer_response_s=2.0)
    take(ct(1))
    hanging: list[Answer] = []
    with silent() as port, known_as("MUTE", port):
        with calling(server.port) as slow, calling(server.port, title="WS2") as quick:

            def ask() -> None:
                hanging.extend(slow.ask(MOVE, study(), "MUTE"))

            thread = threading.Thread(target=ask)
            thread.start()
            assert quick.move()[-1].status == 0x0000
            assert not hanging  # the other one waits still
            thread.join(30)
    assert hanging[-1].status == 0xA702
    assert hanging[-1].failed == [f"{SERIES}.1"]


def test_a_destination_that_stops_answering_loses_the_rest(caller, take, destination, patience):
    patience(peer_response_s=1.0)
    for number in (1, 2, 3):
        take(ct(number))
    wait = threading.Event()

    def store(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == f"{SERIES}.2":
            wait.wait(10)
        return 0x0000

    destination.on_store = store
    last = caller.move()[-1]
    wait.set()
    assert (last.status, last.counts) == (0xB000, (None, 1, 2, 0))
    assert last.failed == [f"{SERIES}.2", f"{SERIES}.3"]
    assert "did not answer" in last.comment


def test_an_association_that_breaks_is_opened_again_and_nothing_is_lost(caller, take, destination):
    for number in (1, 2, 3):
        take(ct(number))
    broken = []

    def store(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == f"{SERIES}.2" and not broken:
            broken.append(True)
            event.assoc.abort()
        return 0x0000

    destination.on_store = store
    last = caller.move()[-1]
    assert (last.status, last.counts) == (0x0000, (None, 3, 0, 0))
    assert destination.associations == 2


def test_an_object_over_which_a_destination_always_breaks_fails_alone(caller, take, destination):
    for number in (1, 2, 3):
        take(ct(number))

    def store(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == f"{SERIES}.2":
            event.assoc.abort()
        return 0x0000

    destination.on_store = store
    last = caller.move()[-1]
    assert (last.status, last.counts) == (0xB000, (None, 2, 1, 0))
    assert last.failed == [f"{SERIES}.2"]


def test_a_destination_that_always_breaks_is_not_called_for_ever(caller, take, destination):
    for number in range(1, 9):
        take(ct(number))

    def store(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    destination.on_store = store
    last = caller.move()[-1]
    assert (last.status, last.counts) == (0xA702, (None, 0, 8, 0))
    assert destination.associations == 3
