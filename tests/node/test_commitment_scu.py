"""The node asks a peer to commit what it sent: the request, the report, and their failures."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from dicom_node.chores import commitments
from dicom_node.commitment import queue
from dicom_node.dimse.scp import commit
from dicom_node.index.durable import durable_transaction
from dicom_node.models import Commitment, Forward
from tests.node.commitment_peers import INSTANCE, PUSH, cts, request, role
from tests.node.dimse_peers import known_as

pytestmark = pytest.mark.slow  # real peers, real waiting

OURS = "1.2.826.0.1.3680043.10.1361.9.2"


def ours(*uids: str) -> Commitment:
    with durable_transaction():
        return queue.ask(
            OURS, cts(*uids), peer_ae="DEST", own_ae="ARGENS_CT", requested_by="tester"
        )


@contextlib.contextmanager
def committing(on_action: Callable[[evt.Event], int]) -> Iterator[int]:
    """A commitment SCP that answers each request as `on_action` says; yields the port."""
    ae = AE(ae_title="DEST")
    ae.add_supported_context(PUSH)

    def answer(event: evt.Event) -> tuple[int, None]:
        return on_action(event), None

    scp = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, answer)])
    try:
        yield scp.socket.getsockname()[1]
    finally:
        scp.shutdown()


def report_of(done: list[str], failed: dict[str, int], transaction: str = OURS) -> Dataset:
    ds = request(cts(*done), transaction)
    if not done:
        del ds.ReferencedSOPSequence
    if failed:
        ds.FailedSOPSequence = list(request(cts(*failed)).ReferencedSOPSequence)
        for item, reason in zip(ds.FailedSOPSequence, failed.values(), strict=True):
            item.FailureReason = reason
    return ds


def report_to(port: int, ds: Dataset, event_type: int = 1) -> int:
    """Report on an association of the peer's own, as the SCP that it proposes to be."""
    ae = AE(ae_title="DEST")
    ae.add_requested_context(PUSH)
    association = ae.associate("127.0.0.1", port, ext_neg=[role()], ae_title="ARGENS_CT")
    assert association.is_established
    try:
        status, _ = association.send_n_event_report(ds, event_type, PUSH, INSTANCE)
        return status.Status
    finally:
        association.release()


def reasons(row: Commitment) -> dict[str, int | None]:
    return dict(row.items.values_list("uid", "reason"))


def sent(row: Commitment, *uids: str) -> None:
    for uid in uids:
        Forward.objects.create(
            uid=uid,
            study_uid="1.2",
            destination="DEST",
            state="sent",
            due_at=timezone.now(),
            commitment=row,
        )


@pytest.fixture
def impatient(monkeypatch):
    """No report is waited for on the association that asks."""
    changed = dataclasses.replace(commit.CONFIG, commit_same_association_s=0.0)
    monkeypatch.setattr(commit, "CONFIG", changed)


def test_the_request_names_each_instance_once(transactional_db, impatient):
    asked = []

    def keep(event: evt.Event) -> int:
        asked.append(event.action_information)
        assert event.request.RequestedSOPInstanceUID == INSTANCE and event.action_type == 1
        return 0x0000

    row = ours("1.2.1", "1.2.2")
    with committing(keep) as port, known_as("DEST", port):
        commitments.work_on("DEST", lambda: True)
    named = [item.ReferencedSOPInstanceUID for item in asked[0].ReferencedSOPSequence]
    assert named == ["1.2.1", "1.2.2"] and asked[0].TransactionUID == OURS
    row.refresh_from_db()
    assert (row.state, row.answer_status) == ("awaiting", 0x0000)


def test_a_report_on_an_association_of_the_peers_own_is_kept(server, impatient):
    row = ours("1.2.1", "1.2.2")
    sent(row, "1.2.1", "1.2.2")
    with committing(lambda event: 0x0000) as port, known_as("DEST", port):
        commitments.work_on("DEST", lambda: True)
    assert report_to(server.port, report_of(["1.2.1"], {"1.2.2": 0x0112}), 2) == 0x0000
    row.refresh_from_db()
    assert row.state == "done"
    assert reasons(row) == {"1.2.1": 0, "1.2.2": 0x0112}
    errors = dict(Forward.objects.values_list("uid", "error"))
    assert errors["1.2.1"] == "" and "0x0112" in errors["1.2.2"]


def test_an_instance_that_the_report_leaves_out_is_not_committed(server):
    row = ours("1.2.1", "1.2.2")
    sent(row, "1.2.2")
    assert report_to(server.port, report_of(["1.2.1"], {})) == 0x0000
    assert reasons(row) == {"1.2.1": 0, "1.2.2": None}
    assert "not in its report" in Forward.objects.get().error


def test_a_report_on_the_association_that_asked_is_kept(transactional_db):
    answers: list[int] = []

    def report_soon(event: evt.Event) -> int:
        association = event.assoc
        ds = report_of(["1.2.1"], {})

        def report() -> None:
            status, _ = association.send_n_event_report(ds, 1, PUSH, INSTANCE)
            answers.append(status.Status)

        threading.Timer(0.2, report).start()
        return 0x0000

    row = ours("1.2.1")
    with committing(report_soon) as port, known_as("DEST", port):
        commitments.work_on("DEST", lambda: True)
        row.refresh_from_db()
        assert row.state == "done" and reasons(row) == {"1.2.1": 0}
    assert answers == [0x0000]


@pytest.mark.parametrize(
    ("ds", "event_type", "status"),
    [
        (report_of(["1.2.1"], {}, "1.2.3.4"), 1, 0x0115),
        (report_of(["1.2.1"], {}), 3, 0x0113),
    ],
)
def test_a_report_of_what_nobody_asked_is_refused(server, ds, event_type, status):
    row = ours("1.2.1")
    assert report_to(server.port, ds, event_type) == status
    assert reasons(row) == {"1.2.1": None}


@pytest.mark.parametrize(("status", "state"), [(0x0213, "asking"), (0x0124, "given-up")])
def test_a_refused_request_is_tried_again_or_shown(transactional_db, status, state):
    row = ours("1.2.1")
    with committing(lambda event: status) as port, known_as("DEST", port):
        commitments.work_on("DEST", lambda: True)
    row.refresh_from_db()
    assert (row.state, row.answer_status, row.attempts) == (state, status, 1)


def test_a_peer_without_commitment_is_shown_as_such(transactional_db):
    row = ours("1.2.1")
    ae = AE(ae_title="DEST")
    ae.add_supported_context("1.2.840.10008.1.1")
    scp = ae.start_server(("127.0.0.1", 0), block=False)
    try:
        with known_as("DEST", scp.socket.getsockname()[1]):
            commitments.work_on("DEST", lambda: True)
    finally:
        scp.shutdown()
    row.refresh_from_db()
    assert row.state == "asking" and "does not take storage commitment" in row.error


def test_a_report_that_never_comes_is_given_up_and_can_be_asked_for_again(transactional_db):
    row = ours("1.2.1")
    queue.await_report(row, 0)
    Commitment.objects.update(due_at=timezone.now())
    commitments.work_on("DEST", lambda: True)
    row.refresh_from_db()
    assert row.state == "given-up" and "has not reported" in row.error
    assert queue.retry(row)
    row.refresh_from_db()
    assert row.state == "asking" and row.settled_at is None
    assert list(queue.due()) == [row]


def test_a_peer_that_breaks_off_after_taking_the_request_has_its_time_to_report(server):
    def take_and_abort(event: evt.Event) -> int:
        threading.Timer(0.2, event.assoc.abort).start()
        return 0x0000

    row = ours("1.2.1")
    with committing(take_and_abort) as port, known_as("DEST", port):
        commitments.work_on("DEST", lambda: True)
    row.refresh_from_db()
    assert (row.state, row.error) == ("awaiting", "")
    assert row.due_at > timezone.now() + timedelta(hours=1)
