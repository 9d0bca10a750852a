"""A caller that changes its mind, or is gone."""

from __future__ import annotations

import threading
import time

import pytest
from pynetdicom import evt
from pynetdicom.sop_class import CTImageStorage

from tests.node.dimse_peers import EXPLICIT
from tests.node.objects import SERIES, ct
from tests.node.retrieve.callers import GET, MOVE, Answer, audited, calling, study

pytestmark = pytest.mark.slow  # real peers, real waiting


def test_a_cancelled_move_stops_and_tells_what_is_left(caller, take, destination):
    for number in range(1, 6):
        take(ct(number))
    cancelled = threading.Event()

    def store(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == f"{SERIES}.3":
            cancelled.wait(10)
        return 0x0000

    destination.on_store = store
    answers = []
    for status, identifier in caller.association.send_c_move(study(), "DEST", MOVE, msg_id=7):
        answers.append(Answer(status, identifier))
        if len(answers) == 2:
            caller.association.send_c_cancel(7, query_model=MOVE)
            time.sleep(0.2)  # pynetdicom sends it in another thread
            cancelled.set()
    assert answers[-1].status == 0xFE00
    remaining, completed, failed, _ = answers[-1].counts
    assert (remaining + completed, failed) == (5, 0)
    assert remaining >= 1
    assert len(destination.kept) == completed


def test_a_cancelled_get_stops_before_the_next_object(server, take):
    for number in range(1, 6):
        take(ct(number))
    with calling(server.port, (CTImageStorage, EXPLICIT)) as caller:
        kept = []

        def store(event: evt.Event) -> int:
            kept.append(event.request.AffectedSOPInstanceUID)
            if len(kept) == 2:  # on the wire before the answer to this object
                caller.association.send_c_cancel(7, query_model=GET)
            return 0x0000

        caller.association.bind(evt.EVT_C_STORE, store)
        asked = caller.association.send_c_get(study(), GET, msg_id=7)
        answers = [Answer(*answer) for answer in asked]
    assert [answer.status for answer in answers] == [0xFF00, 0xFF00, 0xFE00]
    assert answers[-1].counts == (3, 2, 0, 0)
    assert kept == [f"{SERIES}.1", f"{SERIES}.2"]


def test_a_cancel_is_seen_while_the_destination_hangs(caller, take, destination, patience):
    patience(peer_response_s=60.0)
    take(ct(1))
    asked, over = threading.Event(), threading.Event()

    def store(_: evt.Event) -> int:
        asked.set()
        over.wait(20)
        return 0x0000

    def cancel() -> None:
        asked.wait(10)
        caller.association.send_c_cancel(9, query_model=MOVE)

    destination.on_store = store
    thread = threading.Thread(target=cancel)
    thread.start()
    answers = caller.association.send_c_move(study(), "DEST", MOVE, msg_id=9)
    (answer,) = [Answer(*answer) for answer in answers]
    over.set()
    thread.join()
    assert (answer.status, answer.counts) == (0xFE00, (1, 0, 0, 0))


def test_a_caller_that_is_gone_ends_its_move(server, take, destination):
    for number in range(1, 30):
        take(ct(number))
    gone = threading.Event()

    def store(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == f"{SERIES}.2":
            gone.wait(10)
        return 0x0000

    destination.on_store = store
    with calling(server.port) as caller:
        answers = caller.association.send_c_move(study(), "DEST", MOVE)
        next(answers)
        caller.association.abort()
        gone.set()
    deadline = time.monotonic() + 10
    while not audited("sent") and time.monotonic() < deadline:
        time.sleep(0.05)
    (told,) = audited("sent")
    assert told["remaining"] > 20
    assert len(destination.kept) < 9


def test_a_caller_that_is_gone_while_the_destination_works_sends_nothing_twice(
    server, take, destination
):
    take(ct(1))
    asked, over = threading.Event(), threading.Event()

    def store(event: evt.Event) -> int:
        asked.set()
        over.wait(4)
        return 0x0000

    destination.on_store = store
    with calling(server.port) as caller:
        answers = caller.association.send_c_move(study(), "DEST", MOVE)
        thread = threading.Thread(target=lambda: list(answers))
        thread.start()
        assert asked.wait(10)
        caller.association.abort()
        thread.join(10)
    deadline = time.monotonic() + 10
    while not audited("sent") and time.monotonic() < deadline:
        time.sleep(0.05)
    over.set()
    assert destination.uids == [f"{SERIES}.1"]
    assert destination.associations == 1
