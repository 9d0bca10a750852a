"""Storage commitment as SCP: what is vouched for, why not, and how its report reaches the peer."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from pydicom.dataset import Dataset
from pynetdicom.sop_class import MRImageStorage

from dicom_node.chores import commitments, digests
from dicom_node.commitment import checks, queue, receipts
from dicom_node.dimse.scp import commit
from dicom_node.models import Commitment, Instance, Quarantined
from dicom_node.store.journal import EVICTED, Journal
from tests.node.commitment_peers import (
    TRANSACTION,
    WAIT_S,
    Heard,
    ask,
    asking,
    committed,
    cts,
    failed,
    listening,
    request,
)
from tests.node.dimse_peers import known_as, silent
from tests.node.objects import SERIES, STUDY, ct, put_away

pytestmark = pytest.mark.slow  # real peers, real waiting

ONE, TWO, THREE = (f"{SERIES}.{number}" for number in (1, 2, 3))
CT = ct().SOPClassUID


@pytest.fixture
def three(take):
    for number in (1, 2, 3):
        take(ct(number))


@pytest.fixture
def elsewhere(monkeypatch):
    """Reports never go out on the association that asked."""
    set_config(monkeypatch, commit_same_association_s=0.0)


def only_a_transaction() -> Dataset:
    ds = Dataset()
    ds.TransactionUID = TRANSACTION
    return ds


def set_config(monkeypatch, **changed):
    changed_config = dataclasses.replace(commit.CONFIG, **changed)
    monkeypatch.setattr(commit, "CONFIG", changed_config)
    monkeypatch.setattr(queue, "CONFIG", changed_config)


def wait_for(**state) -> Commitment:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = Commitment.objects.filter(**state).first()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(list(Commitment.objects.values()))


def ask_and_leave(server) -> None:
    """Ask for the first instance, release, and wait until the association's thread is done."""
    with asking(server.port) as association:
        assert ask(association, request(cts(ONE))) == 0x0000
    wait_for(lease_until=None)


def reasons(layout, *items, copies=1, wait_s=3600.0) -> dict[str, int | None]:
    """Return what a check decides of (SOP class, SOP instance) items."""
    checker = checks.Checker(layout, {CT, MRImageStorage}, copies, timedelta(seconds=wait_s))
    row = queue.accept("1.2.3", items, peer_ae="X", peer_address="", own_ae="Y")
    checker.decide(row, lambda: True)
    return dict(row.items.values_list("uid", "reason"))


def journal_copy(layout, uid, digest):
    record = {
        "study_uid": STUDY,
        "sop_instance_uid": uid,
        "stored_sha256": digest,
        "copies": [{"vault": "v", "volume": "A1", "verified_at": "2026-01-01T00:00:00Z"}],
    }
    Journal(layout.journal).append(EVICTED, [record])


def test_what_is_stored_is_committed_on_the_association_that_asked(server, three):
    heard = Heard()
    with asking(server.port, heard) as association:
        assert ask(association, request(cts(ONE, TWO, THREE))) == 0x0000
        event, report, called_us = heard.next()
        row = wait_for(state="done")
    assert (event, called_us) == (1, False)
    assert report.TransactionUID == TRANSACTION and report.RetrieveAETitle == "ARGENS_CT"
    assert committed(report) == {ONE, TWO, THREE} and not failed(report)
    assert row.answer_status == 0x0000


def test_what_is_not_here_is_failed_by_name_and_the_rest_committed(server, three):
    heard = Heard()
    with asking(server.port, heard) as association:
        ask(association, request([*cts(ONE, "1.2.3"), (MRImageStorage, TWO)]))
        event, report, _ = heard.next()
    assert event == 2
    assert committed(report) == {ONE}
    assert failed(report) == {"1.2.3": 0x0112, TWO: 0x0119}


def test_a_peer_that_releases_is_called_and_told_by_the_chores(server, three):
    heard = Heard()
    with listening(heard) as port, known_as("MODALITY", port):
        ask_and_leave(server)
        commitments.work_on("MODALITY", lambda: True)
        event, report, called_us = heard.next()
    assert (event, called_us) == (1, True)
    assert heard.roles == [(False, True)]  # PS3.4 J.3.3: the SCP role
    assert committed(report) == {ONE}
    assert Commitment.objects.get().state == "done"


def test_a_request_survives_until_the_peer_is_back(server, three, elsewhere):
    heard = Heard()
    ask_and_leave(server)
    with silent() as port:
        closed = port
    with known_as("MODALITY", closed):
        commitments.work_on("MODALITY", lambda: True)
        row = Commitment.objects.get()
        assert (row.state, row.attempts) == ("reporting", 1)
        assert "cannot be reached" in row.error and row.due_at > timezone.now()
    with listening(heard) as port, known_as("MODALITY", port):
        commitments.work_on("MODALITY", lambda: True)
        assert heard.reports.empty()  # not before its pause is over
        Commitment.objects.update(due_at=timezone.now())
        commitments.work_on("MODALITY", lambda: True)
        assert committed(heard.next()[1]) == {ONE}
    assert Commitment.objects.get().state == "done"


def test_a_peer_whose_address_nobody_told_is_shown_with_what_to_add(server, three, elsewhere):
    ask_and_leave(server)
    commitments.work_on("MODALITY", lambda: True)
    row = Commitment.objects.get()
    assert row.state == "reporting"
    assert "MODALITY" in row.error and "address" in row.error


def test_what_nobody_takes_is_given_up_visibly(server, three, elsewhere, monkeypatch):
    ask_and_leave(server)
    Commitment.objects.update(asked_at=timezone.now() - timedelta(days=4))
    commitments.work_on("MODALITY", lambda: True)
    row = Commitment.objects.get()
    assert row.state == "given-up" and row.error


@pytest.mark.parametrize(("status", "state"), [(0x0110, "reporting"), (0x0112, "given-up")])
def test_the_peers_answer_to_the_report_is_kept(server, three, elsewhere, status, state):
    heard = Heard(answer=lambda: status)
    with listening(heard) as port, known_as("MODALITY", port):
        ask_and_leave(server)
        commitments.work_on("MODALITY", lambda: True)
    row = Commitment.objects.get()
    assert (row.state, row.answer_status) == (state, status)
    assert f"0x{status:04X}" in row.error


@pytest.mark.parametrize(
    ("ds", "changed", "status"),
    [
        (request([]), {}, 0x0115),
        (request(cts(ONE), transaction=None), {}, 0x0115),
        (request(cts("no uid")), {}, 0x0115),
        (request(cts("")), {}, 0x0115),
        (only_a_transaction(), {}, 0x0115),
        (request(cts(ONE)), {"action_type": 2}, 0x0123),
        (request(cts(ONE)), {"instance_uid": "1.2.3"}, 0x0112),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_not_kept(server, ds, changed, status):
    with asking(server.port) as association:
        assert ask(association, ds, **changed) == status
        assert ask(association, request(cts(ONE))) == 0x0000  # the association lives on
    assert Commitment.objects.count() == 1


def test_a_request_is_not_answered_with_success_while_the_index_is_away(server, monkeypatch):
    def away(*_, **__):
        raise OperationalError("database is away")

    with asking(server.port) as association:
        with monkeypatch.context() as patched:
            patched.setattr(queue, "durable_transaction", away)
            assert ask(association, request(cts(ONE))) == 0x0110
        assert ask(association, request(cts(ONE))) == 0x0000


def test_a_taken_transaction_uid_fails_every_other_item(server, three):
    heard = Heard()
    with asking(server.port, heard) as association:
        ask(association, request(cts(ONE)))
        assert heard.next()[0] == 1
        ask(association, request(cts(TWO, THREE)))
        event, report, _ = heard.next()
    assert event == 2
    assert failed(report) == {TWO: 0x0131, THREE: 0x0131}


def test_the_same_request_again_is_reported_again_and_checked_anew(server, take):
    heard = Heard()
    with asking(server.port, heard) as association:
        ask(association, request(cts(ONE)))
        assert failed(heard.next()[1]) == {ONE: 0x0112}
        take(ct(1))
        ask(association, request(cts(ONE)))
        assert committed(heard.next()[1]) == {ONE}
    assert Commitment.objects.count() == 1


def test_thousands_of_instances_are_reported_one_by_one(server, three):
    heard = Heard()
    absent = [f"1.2.3.{number}" for number in range(3000)]
    with asking(server.port, heard) as association:
        ask(association, request(cts(ONE, *absent)))
        _, report, _ = heard.next()
    assert committed(report) == {ONE} and failed(report).keys() == set(absent)


def test_a_changed_file_is_never_vouched_for(layout, three):
    digests.compute(layout)
    for number, uid in enumerate((ONE, TWO)):
        path = layout.object(Instance.objects.get(uid=uid).hour, uid)
        content = bytearray(path.read_bytes())
        content[-1 if number else 140 + 200] ^= 1
        path.write_bytes(content)
    assert reasons(layout, *cts(ONE, TWO, THREE)) == {ONE: 0x0110, TWO: 0x0110, THREE: 0}
    assert Instance.objects.get(uid=ONE).damaged


def test_a_file_that_is_gone_is_never_vouched_for(layout, three):
    layout.object(Instance.objects.get(uid=ONE).hour, ONE).unlink()
    assert reasons(layout, *cts(ONE)) == {ONE: 0x0110}


def test_what_waits_for_a_quarantine_decision_is_not_vouched_for(layout, three, take):
    take(ct(1, InstanceNumber=99))
    assert Quarantined.objects.filter(uid=ONE).exists()
    assert reasons(layout, *cts(ONE, TWO)) == {ONE: 0x0110, TWO: 0}


def test_a_class_that_the_node_does_not_store_is_told_as_such(layout, transactional_db):
    assert reasons(layout, ("1.2.840.10008.1.1", "1.2.3")) == {"1.2.3": 0x0122}


def test_an_evicted_instance_is_committed_by_its_receipt_alone(layout, three):
    digests.compute(layout)
    put_away(layout, ONE, TWO)
    stored = dict(Instance.objects.values_list("uid", "stored_sha256"))
    journal_copy(layout, ONE, stored[ONE])
    journal_copy(layout, TWO, "0" * 64)
    assert reasons(layout, *cts(ONE, TWO)) == {ONE: 0, TWO: 0x0110}


def test_two_copies_are_waited_for_and_their_coming_ends_the_wait(layout, three):
    digests.compute(layout)
    stored = dict(Instance.objects.values_list("uid", "stored_sha256"))
    checker = checks.Checker(layout, {CT}, 2, timedelta(hours=1))
    row = queue.accept("1.2.3", cts(ONE), peer_ae="X", peer_address="", own_ae="Y")
    assert not checker.decide(row, lambda: True)
    told = {
        "study_uid": STUDY,
        "instances": [
            {
                "sop_instance_uid": ONE,
                "stored_sha256": stored[ONE],
                "copies": [{"volume": "A1", "verified_at": "2026-01-01T00:00:00Z"}],
            }
        ],
    }
    assert receipts.note_copies(layout, told)["taken"] == [ONE]
    assert checker.decide(row, lambda: True)
    assert row.items.get().reason == 0


def test_a_report_waits_for_the_archives_word_where_two_copies_are_asked_for(
    server, layout, three, elsewhere, monkeypatch
):
    set_config(monkeypatch, commit_requires_copies=2, commit_same_association_s=0.0)
    digests.compute(layout)
    heard = Heard()
    with listening(heard) as port, known_as("MODALITY", port):
        ask_and_leave(server)
        commitments.work_on("MODALITY", lambda: True)
        row = Commitment.objects.get()
        assert row.state == "checking" and "copies" in row.error and row.due_at > timezone.now()
        journal_copy(layout, ONE, Instance.objects.get(uid=ONE).stored_sha256)
        queue.copies_came()
        commitments.work_on("MODALITY", lambda: True)
        assert committed(heard.next()[1]) == {ONE}


def test_copies_that_never_come_end_in_a_resource_limitation(layout, three):
    assert reasons(layout, *cts(ONE), copies=2, wait_s=-1.0) == {ONE: 0x0213}


def test_a_check_that_is_stopped_goes_on_where_it_was(layout, three):
    checker = checks.Checker(layout, {CT}, 1, timedelta(hours=1))
    row = queue.accept("1.2.3", cts(ONE, TWO), peer_ae="X", peer_address="", own_ae="Y")
    turns = iter([True, True, False])
    assert not checker.decide(row, lambda: next(turns, False))
    assert row.items.filter(reason=0).count() == 1
    assert checker.decide(row, lambda: True)


def test_a_request_is_worked_on_by_one_alone(layout, transactional_db):
    row = queue.accept("1.2.3", cts(ONE), peer_ae="X", peer_address="", own_ae="Y")
    assert not queue.lease(row)
    queue.free(row)
    assert queue.lease(row) and not queue.lease(row)


def test_a_request_that_a_killed_process_left_is_taken_up(layout, transactional_db):
    row = queue.accept("1.2.3", cts(ONE), peer_ae="X", peer_address="", own_ae="Y")
    queue.reclaim()
    assert list(queue.due()) == [row]
