"""Forwarding: arrivals meet the rules once, and what a destination does not take is not lost."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError
from django.utils import timezone

from dicom_node.chores import commitments, digests, forwarding, loop
from dicom_node.chores.lanes import Lanes
from dicom_node.forwarding import overview, queue, routing
from dicom_node.forwarding.rules import parse
from dicom_node.forwarding.rules_file import RulesFile
from dicom_node.index.rebuild import rebuild
from dicom_node.models import Commitment, Forward, ForwardDestination, Instance, RecallRequest
from tests.node.dimse_peers import known_as, silent, storage
from tests.node.objects import SERIES, STUDY, ct, put_away

pytestmark = pytest.mark.slow  # real peers, real waiting

ZONE = ZoneInfo("Europe/Paris")
ONE, TWO, THREE = (f"{SERIES}.{number}" for number in (1, 2, 3))
WAIT_S = 20.0


def rules(*entries: dict):
    named = [{"name": f"rule {n}", "destination": "DEST", **e} for n, e in enumerate(entries)]
    return parse({"rules": named})


def route(layout, *entries: dict) -> int:
    return routing.route(rules(*entries), ZONE, layout)


def send_all(layout, destination: str = "DEST") -> bool:
    """Send what is due to a destination, as its lane does."""
    rows = queue.claim(destination, [])
    return forwarding.send_batch(layout, destination, rows, lambda: True)


def states() -> dict[str, str]:
    return dict(Forward.objects.values_list("uid", "state"))


def instances():
    return Instance.objects.select_related("series__study").order_by("id")


@pytest.fixture
def three(take):
    for number in (1, 2, 3):
        take(ct(number), source_ae="CT1", called_ae="ARGENS_CT")


def test_an_arrival_meets_the_rules_once(layout, three):
    assert route(layout, {}) == 3
    assert route(layout, {}) == 0
    assert Forward.objects.count() == 3


def test_a_resent_instance_is_not_forwarded_again(layout, take, three):
    route(layout, {})
    take(ct(1), source_ae="CT1")
    assert not routing.waits()


def test_only_what_a_rule_takes_is_queued(layout, take):
    take(ct(1), source_ae="CT1", called_ae="NIGHT")
    take(ct(2), source_ae="CT2", called_ae="NIGHT")
    take(ct(3), source_ae="CT1", called_ae="ARGENS_CT")
    route(layout, {"source_ae": "CT1", "called_ae": "NIGHT", "description": "tdm cerebrale"})
    assert states().keys() == {ONE}


def test_two_rules_to_one_destination_send_once(layout, three):
    route(layout, {}, {}, {"destination": "OTHER"})
    assert Forward.objects.filter(destination="DEST").count() == 3
    assert Forward.objects.filter(destination="OTHER").count() == 3


def test_an_arrival_is_marked_and_queued_together_or_not_at_all(layout, three, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(routing, "_put_off", dies)
    with pytest.raises(KeyboardInterrupt):
        route(layout, {})
    assert Forward.objects.count() == 0 and routing.waits()


def test_a_rebuilt_index_sends_nothing_out_again(layout, three, monkeypatch):
    monkeypatch.setattr(routing, "SLACK", timedelta(0))  # a day has passed
    route(layout, {})
    Forward.objects.update(state="sent")
    Instance.objects.update(arrived_at=timezone.now() - timedelta(days=3))
    layout.routed_until.write_text(datetime.now(UTC).isoformat())
    rebuild(layout)
    assert routing.waits()
    route(layout, {})
    assert Forward.objects.filter(state="waiting").count() == 0
    assert not routing.waits()


@pytest.mark.parametrize("wrong_by", [timedelta(days=3650), timedelta(hours=2)])
def test_a_clock_that_was_ahead_for_a_while_keeps_no_arrival_from_the_rules(
    layout, three, wrong_by
):
    layout.routed_until.write_text((timezone.now() + wrong_by).isoformat())
    route(layout, {})
    assert set(states()) == {ONE, TWO, THREE}
    routing.note_routed(layout)
    noted = datetime.fromisoformat(layout.routed_until.read_text())
    assert noted < timezone.now()


def test_what_waits_is_not_passed_over_by_a_rebuild(layout, three):
    route(layout, {})
    Forward.objects.filter(uid=ONE).update(created_at=timezone.now() - timedelta(days=2))
    routing.note_routed(layout)
    until = routing.routed_until(layout)
    assert until is not None and until < timezone.now() - timedelta(days=2)


def test_a_study_that_grows_is_not_sent_before_it_is_quiet(layout, take):
    take(ct(1))
    route(layout, {"quiet_s": 60})
    Forward.objects.update(due_at=timezone.now() + timedelta(seconds=1))
    take(ct(2))
    route(layout, {"quiet_s": 60})
    assert queue.claim("DEST", []) == []
    assert all(row.due_at > timezone.now() + timedelta(seconds=50) for row in Forward.objects.all())


def test_what_is_queued_arrives_in_its_order(layout, three):
    with storage() as peer, known_as("DEST", peer.port):
        route(layout, {})
        assert send_all(layout)
    assert peer.uids == [ONE, TWO, THREE]
    assert set(states().values()) == {"sent"}
    assert peer.associations == 1


def test_the_urgent_goes_first(layout, three, monkeypatch):
    monkeypatch.setattr(queue, "BATCH_INSTANCES", 1)
    found = list(instances())
    queue.enqueue("DEST", found[:2], "somebody")
    queue.enqueue("DEST", found[2:], "somebody", priority=1)
    assert [row.uid for row in queue.claim("DEST", [])] == [THREE]


def test_a_destination_that_is_away_keeps_all_and_is_left_for_a_while(layout, three):
    with silent() as port:
        closed = port
    route(layout, {})
    with known_as("DEST", closed):
        assert not send_all(layout)
    assert set(states().values()) == {"waiting"}
    assert queue.due_destinations([]) == []
    row = ForwardDestination.objects.get()
    assert row.failures == 1 and "cannot be reached" in row.error and row.away_since
    ForwardDestination.objects.update(held_until=timezone.now())
    assert queue.due_destinations([]) == ["DEST"]
    with storage() as peer, known_as("DEST", peer.port):
        assert send_all(layout)
    assert peer.uids == [ONE, TWO, THREE]
    assert ForwardDestination.objects.get().failures == 0


def test_pauses_double_up_to_ten_minutes():
    pauses = [queue.pause(failures).total_seconds() for failures in range(1, 30)]
    assert pauses[:3] == [5, 10, 20] and pauses[-1] == 600


def test_a_destination_that_nobody_knows_is_shown_with_its_error(layout, three):
    route(layout, {})
    assert not send_all(layout)
    [shown] = overview.destinations()
    assert shown["waiting"] == 3 and "'DEST'" in shown["error"]


def test_a_refused_instance_holds_up_no_other_and_is_given_up_at_last(layout, three):
    with storage() as peer, known_as("DEST", peer.port):
        peer.on_store = lambda event: (
            0xC000 if event.request.AffectedSOPInstanceUID == ONE else 0x0000
        )
        route(layout, {})
        send_all(layout)
        assert states() == {ONE: "waiting", TWO: "sent", THREE: "sent"}
        for _ in range(queue.MAX_REFUSALS - 1):
            Forward.objects.update(due_at=timezone.now())
            send_all(layout)
    row = Forward.objects.get(uid=ONE)
    assert (row.state, row.status, row.attempts) == ("given-up", 0xC000, queue.MAX_REFUSALS)
    assert "0xC000" in row.error


def test_a_destination_whose_disk_is_full_gets_everything_once_there_is_room(layout, three):
    with storage() as peer, known_as("DEST", peer.port):
        peer.on_store = lambda event: 0xA700
        route(layout, {})
        for _ in range(queue.MAX_REFUSALS + 1):
            Forward.objects.update(due_at=timezone.now())
            send_all(layout)
        assert set(states().values()) == {"waiting"}
        row = Forward.objects.get(uid=ONE)
        assert row.status == 0xA700 and "0xA700" in row.error
        peer.on_store = lambda event: 0x0000
        Forward.objects.update(due_at=timezone.now())
        send_all(layout)
    assert set(states().values()) == {"sent"}


def test_a_warning_of_the_destination_is_a_success(layout, three):
    with storage() as peer, known_as("DEST", peer.port):
        peer.on_store = lambda event: 0xB000
        route(layout, {})
        send_all(layout)
    assert set(Forward.objects.values_list("state", "status")) == {("sent", 0xB000)}


def test_what_is_too_old_is_given_up_visibly(layout, three):
    route(layout, {})
    Forward.objects.update(created_at=timezone.now() - timedelta(days=4))
    assert not send_all(layout)  # nobody knows DEST
    assert set(Forward.objects.values_list("state", flat=True)) <= {"given-up", "waiting"}
    queue.note_away("DEST", "it does not answer")
    assert set(Forward.objects.values_list("state", "error")) == {
        ("given-up", "it does not answer")
    }


def test_an_evicted_instance_is_recalled_and_waits(layout, three):
    digests.compute(layout)
    put_away(layout, TWO)
    with storage() as peer, known_as("DEST", peer.port):
        route(layout, {})
        send_all(layout)
    assert peer.uids == [ONE, THREE]
    row = Forward.objects.get(uid=TWO)
    assert row.state == "waiting" and "recall" in row.error and row.due_at > timezone.now()
    assert RecallRequest.objects.get().study_uid == STUDY


def test_what_is_gone_from_the_index_is_a_clear_failure(layout, three):
    route(layout, {})
    Instance.objects.filter(uid=ONE).delete()
    with storage() as peer, known_as("DEST", peer.port):
        send_all(layout)
    row = Forward.objects.get(uid=ONE)
    assert (row.state, row.error) == ("given-up", "it is not in the index")


def test_what_a_killed_process_had_claimed_is_sent_after_all(layout, three):
    route(layout, {})
    assert len(queue.claim("DEST", [])) == 3  # and then it died
    assert queue.claim("DEST", []) == []
    assert queue.reclaim() == 3
    assert len(queue.claim("DEST", [])) == 3


def test_a_node_that_stops_puts_back_what_it_has_not_sent(layout, three):
    turns = iter([True])
    with storage() as peer, known_as("DEST", peer.port):
        route(layout, {})
        rows = queue.claim("DEST", [])
        forwarding.send_batch(layout, "DEST", rows, lambda: next(turns, False))
    waiting = {uid for uid, state in states().items() if state == "waiting"}
    assert waiting and waiting == {ONE, TWO, THREE} - set(peer.uids[:2])


def test_a_person_sends_again_what_was_sent(layout, three):
    queue.enqueue("DEST", instances(), "it")
    assert queue.enqueue("DEST", instances(), "it") == 0  # it is on its way
    with storage() as peer, known_as("DEST", peer.port):
        send_all(layout)
        assert queue.resend(overview.chosen(destination="DEST", study_uid=STUDY), "it") == 3
        send_all(layout)
    assert peer.uids == [ONE, TWO, THREE] * 2
    assert Forward.objects.count() == 3


def test_what_waits_can_be_cancelled(layout, three):
    queue.enqueue("DEST", instances(), "it")
    assert queue.cancel(overview.chosen(study_uid=STUDY)) == 3
    assert queue.claim("DEST", []) == []


def test_outside_its_hours_a_rule_sends_nothing_and_forgets_nothing(layout, three):
    route(layout, {"send_hours": [{"from": "22:00", "to": "23:00"}]})
    assert queue.claim("DEST", ["rule 0"]) == []
    assert len(queue.claim("DEST", [])) == 3


def test_while_no_rule_can_be_read_only_what_people_asked_for_is_sent(layout, three):
    route(layout, {})
    queue.enqueue("OTHER", instances(), "it")
    assert queue.due_destinations(None) == ["OTHER"]


def test_settled_rows_are_forgotten_after_their_time(layout, three):
    queue.enqueue("DEST", instances(), "it")
    queue.cancel(overview.chosen(study_uid=STUDY))
    assert queue.forget_settled() == 0
    Forward.objects.update(settled_at=timezone.now() - timedelta(days=40))
    assert queue.forget_settled() == 3


def wait_until(holds, why=lambda: list(Forward.objects.values())) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


@pytest.fixture
def chores(layout, transactional_db, monkeypatch):
    """The chores' loop in a thread, until the test ends."""
    monkeypatch.setattr(loop, "IDLE_S", 0.05)
    stopping = threading.Event()
    thread = threading.Thread(target=loop.run, args=(layout, stopping.wait))
    yield thread
    stopping.set()
    thread.join(WAIT_S)


def test_a_destination_that_hangs_holds_up_no_other_and_no_digest(layout, three, chores):
    document = {
        "rules": [
            {"name": "hung", "destination": "HUNG", "priority": "high"},
            {"name": "good", "destination": "GOOD"},
        ]
    }
    RulesFile(layout.forwarding_rules).replace(document)
    with storage() as good, known_as("GOOD", good.port):
        with silent() as port, known_as("HUNG", port):
            chores.start()
            wait_until(lambda: len(good.uids) == 3)
            wait_until(lambda: not digests.waits())
            hung = Forward.objects.filter(destination="HUNG").values_list("state", flat=True)
            assert set(hung) == {"sending"}
        wait_until(lambda: ForwardDestination.objects.filter(ae_title="HUNG").exists())


def test_a_database_that_leaves_in_mid_send_leaves_nothing_behind(
    layout, three, chores, monkeypatch
):
    settle, failures = queue.settle_sent, iter([OperationalError("database is away")] * 2)

    def away_at_first(row, status):
        if error := next(failures, None):
            raise error
        settle(row, status)

    def away(rows):
        raise OperationalError("database is away")

    monkeypatch.setattr(queue, "settle_sent", away_at_first)
    monkeypatch.setattr(queue, "put_back", away)
    queue.enqueue("DEST", instances(), "it")
    with storage() as peer, known_as("DEST", peer.port):
        chores.start()
        wait_until(lambda: set(states().values()) == {"sent"})
    assert set(peer.uids) == {ONE, TWO, THREE}


def test_a_second_chores_process_waits_for_the_first(layout, three, chores):
    chores.start()
    wait_until(lambda: not digests.waits())
    asked = []

    def stop(wait_s):
        asked.append(wait_s)
        return len(asked) > 2

    loop.run(layout, stop)
    assert len(asked) == 3


def test_work_of_one_kind_and_key_runs_once_and_within_its_limit():
    lanes, go_on = Lanes(send=2), threading.Event()
    assert lanes.start("send", "A", lambda goes_on: go_on.wait(WAIT_S))
    assert not lanes.start("send", "A", lambda goes_on: None)
    assert lanes.start("send", "B", lambda goes_on: go_on.wait(WAIT_S))
    assert not lanes.start("send", "C", lambda goes_on: None)
    assert lanes.start("digests", "", lambda goes_on: None)
    go_on.set()
    lanes.stop()
    assert lanes.start("send", "C", lambda goes_on: None)
    lanes.stop()


def test_a_failing_chore_ends_alone(layout, transactional_db, caplog):
    lanes = Lanes()
    lanes.start("broken", "", lambda goes_on: 1 / 0)
    lanes.stop()
    assert "a chore failed" in caplog.text
    assert lanes.start("broken", "", lambda goes_on: None)
    lanes.stop()


def test_a_destination_is_asked_to_commit_what_a_rule_sent_once_all_of_it_left(layout, three):
    route(layout, {"commit": True})
    with storage() as peer, known_as("DEST", peer.port):
        commitments.ask_for_sent()
        assert Commitment.objects.count() == 0
        send_all(layout)
    commitments.ask_for_sent()
    commitments.ask_for_sent()
    request = Commitment.objects.get()
    assert (request.side, request.state, request.items.count()) == ("node", "asking", 3)
    assert set(Forward.objects.values_list("commitment_id", flat=True)) == {request.id}
