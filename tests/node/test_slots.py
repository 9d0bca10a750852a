"""Connections served at once are limited over all processes, and a killed one gives its back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from dicom_node.dimse.server.slots import Slots

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def slots() -> Iterator[Slots]:
    slots = Slots(processes=2, total=5, per_peer=3)
    yield slots
    slots.close()


def in_a_process(work) -> int:
    """Run `work` in a forked process that then waits to be killed; returns its pid."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        work()
        os.write(writer, b".")
        signal.pause()
    os.close(writer)
    assert os.read(reader, 1) == b"."
    os.close(reader)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_one_peer_gets_no_more_than_its_share_and_others_go_on(slots):
    held = [slots.claim(0, "10.0.0.1") for _ in range(3)]
    assert all(held)
    assert slots.claim(1, "10.0.0.1") is None
    assert slots.claim(1, "10.0.0.2")


def test_the_total_holds_over_all_processes(slots):
    for number in range(5):
        assert slots.claim(number % 2, f"10.0.0.{number}")
    assert slots.claim(0, "10.0.0.9") is None
    assert slots.claim(1, "10.0.0.9") is None
    assert (slots.load(0), slots.load(1)) == (3, 2)


def test_a_process_knows_whether_another_has_less_to_do(slots):
    slots.claim(0, "10.0.0.1")
    assert (slots.is_busier(0), slots.is_busier(1)) == (True, False)
    slots.claim(1, "10.0.0.1")
    assert (slots.is_busier(0), slots.is_busier(1)) == (False, False)


def test_a_released_place_is_free_once(slots):
    first = slots.claim(0, "10.0.0.1")
    first.release()
    second = slots.claim(0, "10.0.0.2")  # takes the same place
    first.release()
    assert slots.load(0) == 1
    second.release()
    assert slots.load(0) == 0


def test_an_ae_title_may_have_a_limit_of_its_own(slots):
    one, two, other = (slots.claim(0, f"10.0.0.{n}") for n in range(3))
    assert one.identify("WS1", limit=1)
    assert not two.identify("WS1", limit=1)
    assert other.identify("WS2", limit=1)
    one.release()
    assert two.identify("WS1", limit=1)
    assert two.identify("WS1")


def test_what_another_process_holds_counts_here(slots):
    child = in_a_process(lambda: [slots.claim(1, "10.0.0.1") for _ in range(3)])
    try:
        assert slots.load(1) == 3
        assert slots.claim(0, "10.0.0.1") is None
    finally:
        kill(child)


def test_the_places_of_a_killed_process_come_back(slots):
    def take():
        slots.claim(1, "10.0.0.1")
        slots.claim(1, "10.0.0.2")

    slots.claim(0, "10.0.0.1")
    kill(in_a_process(take))
    assert slots.load(1) == 2
    slots.clear(1)
    assert (slots.load(0), slots.load(1)) == (1, 0)
    assert [bool(slots.claim(1, "10.0.0.1")) for _ in range(3)] == [True, True, False]


def test_processes_count_one_after_the_other_and_a_killed_one_stops_nobody(slots):
    held = []

    def hold_the_lock():
        held.append(slots._locked())
        held[0].__enter__()

    child = in_a_process(hold_the_lock)
    claiming = threading.Thread(target=slots.claim, args=(0, "10.0.0.1"))
    claiming.start()
    claiming.join(0.2)
    waits = claiming.is_alive()
    kill(child)
    claiming.join()
    assert waits
    assert slots.load(0) == 1


def test_threads_of_many_processes_never_overbook():
    slots = Slots(processes=3, total=20, per_peer=20)

    def rush(number: int) -> None:
        def claim() -> None:
            for _ in range(10):
                slots.claim(number, f"10.0.0.{number}")

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    children = [in_a_process(lambda number=number: rush(number)) for number in range(3)]
    try:
        assert sum(slots.load(number) for number in range(3)) == 20
    finally:
        for child in children:
            kill(child)
        slots.close()
