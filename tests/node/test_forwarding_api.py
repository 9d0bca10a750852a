"""Forwarding and commitment by HTTP and command line: who may, what they see and change."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from dicom_node.chores import digests, forwarding
from dicom_node.commitment import queue as commitments
from dicom_node.forwarding import queue
from dicom_node.models import Commitment, Forward, Instance
from dicom_node.store.journal import COPIED, Journal
from tests.node.commitment_peers import cts
from tests.node.dimse_peers import known_as, storage
from tests.node.objects import SERIES, STUDY, ct

ONE = f"{SERIES}.1"


@pytest.fixture
def caller(ticket):
    """An HTTP client with the portal's ticket for one scope."""

    def caller(scope: str, **bound: object) -> Client:
        return Client(headers={"Authorization": f"Bearer {ticket(scope, **bound)}"})

    return caller


@pytest.fixture
def study(take):
    for number in (1, 2, 3):
        take(ct(number))


def post(client: Client, path: str, **body: object):
    return client.post(f"/api/{path}", data=body, content_type="application/json")


def command(*argv: str) -> str:
    said = io.StringIO()
    call_command(*argv, stdout=said)
    return said.getvalue()


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", "forwarding", "forwarding.read"),
        ("post", "forwarding", "forwarding.write"),
        ("post", "forwarding/resend", "forwarding.write"),
        ("post", "forwarding/cancel", "forwarding.write"),
        ("get", "forwarding/rules", "forwarding.read"),
        ("put", "forwarding/rules", "forwarding.write"),
        ("get", "commitments", "forwarding.read"),
        ("post", "commitments", "forwarding.write"),
        ("post", "commitments/1/retry", "forwarding.write"),
        ("post", "custody/receipts", "custody.receipt"),
    ],
)
def test_each_address_opens_to_its_scope_alone(
    layout, transactional_db, caller, method, path, scope
):
    def status(client: Client) -> int:
        return client.generic(method.upper(), f"/api/{path}", data="{}").status_code

    assert status(Client()) == 401
    other = {"forwarding.read": "forwarding.write"}.get(scope, "forwarding.read")
    assert status(caller(other)) == 403
    assert status(caller(scope)) not in (401, 403)


def test_a_study_is_sent_to_a_destination_and_seen_on_its_way(layout, study, caller):
    with storage() as peer, known_as("DEST", peer.port):
        answer = post(caller("forwarding.write"), "forwarding", destination="DEST", study_uid=STUDY)
        assert (answer.status_code, answer.json()) == (202, {"queued": 3})
        [seen] = caller("forwarding.read").get("/api/forwarding").json()["studies"]
        assert (seen["study_uid"], seen["destination"]) == (STUDY, "DEST")
        assert (seen["counts"]["waiting"], seen["requested_by"]) == (3, "tester")
        forwarding.send_batch(layout, "DEST", queue.claim("DEST", []), lambda: True)
    shown = caller("forwarding.read").get("/api/forwarding", {"state": "sent"}).json()
    assert shown["studies"][0]["counts"]["sent"] == 3
    assert shown["destinations"][0]["waiting"] == 0 and shown["destinations"][0]["last_sent_at"]
    assert caller("forwarding.read").get("/api/forwarding?state=waiting").json()["studies"] == []


def test_some_instances_go_first_where_that_is_asked(layout, study, caller):
    with known_as("DEST", 9):
        answer = post(
            caller("forwarding.write"),
            "forwarding",
            destination="DEST",
            study_uid=STUDY,
            sop_instance_uids=[ONE],
            priority="high",
        )
    assert answer.json() == {"queued": 1}
    assert (Forward.objects.get().uid, Forward.objects.get().priority) == (ONE, 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"destination": "NOWHERE", "study_uid": STUDY}, 400),
        ({"destination": "DEST"}, 400),
        ({"destination": "DEST", "study_uid": "1.2.3"}, 404),
        ({"destination": "DEST", "study_uid": STUDY, "priority": 9}, 400),
        ({"destination": "DEST", "study_uid": STUDY, "sop_instance_uids": "1"}, 400),
        ({"destination": "DEST\0", "study_uid": STUDY}, 400),
        ({"destination": "DEST", "study_uid": STUDY, "priority": ["high"]}, 400),
        ({"destination": "DEST", "study_uid": STUDY, "sop_instance_uids": ["\ud800"]}, 400),
        ({"destination": "DEST", "study_uid": STUDY, "sop_instance_uids": ["1.2"] * 10_001}, 400),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(layout, study, caller, body, status):
    with known_as("DEST", 9):
        assert post(caller("forwarding.write"), "forwarding", **body).status_code == status
    assert Forward.objects.count() == 0


def test_text_that_is_none_is_refused_before_the_index_is_asked(study, caller):
    with known_as("DEST", 9):
        answer = post(caller("forwarding.write"), "commitments", peer_ae="DEST", study_uid="\ud800")
    assert answer.status_code == 400


def test_a_ticket_for_one_study_sends_no_other(layout, study, caller):
    with known_as("DEST", 9):
        bound = caller("forwarding.write", study="1.2.3")
        assert post(bound, "forwarding", destination="DEST", study_uid=STUDY).status_code == 403


def test_what_was_given_up_is_sent_again_and_what_waits_cancelled(layout, study, caller):
    queue.enqueue("DEST", Instance.objects.select_related("series__study"), "it")
    Forward.objects.update(state="given-up", settled_at=timezone.now(), error="away")
    write = caller("forwarding.write")
    assert post(write, "forwarding/resend", state="given-up").status_code == 400
    again = post(write, "forwarding/resend", destination="DEST", state="given-up")
    assert again.json() == {"queued": 3}
    assert set(Forward.objects.values_list("state", "error")) == {("waiting", "")}
    assert post(write, "forwarding/cancel", study_uid=STUDY).json() == {"cancelled": 3}


def test_rules_are_read_and_replaced_and_refused(layout, transactional_db, caller):
    read, write = caller("forwarding.read"), caller("forwarding.write")
    kept = read.get("/api/forwarding/rules").json()
    assert kept == {"rules": [], "time_zone": "Europe/Paris"}
    rule = {"name": "night", "destination": "TELERAD", "hours": [{"from": "18:30", "to": "08:00"}]}
    put = {"path": "/api/forwarding/rules", "content_type": "application/json"}
    assert write.put(data={**kept, "rules": [rule]}, **put).status_code == 200
    assert read.get("/api/forwarding/rules").json()["rules"] == [rule]
    wrong = write.put(data={"rules": [{**rule, "hours": [{"from": "x"}]}]}, **put)
    assert wrong.status_code == 400 and "night" in wrong.json()["detail"]
    assert read.get("/api/forwarding/rules").json()["rules"] == [rule]


def test_commitment_requests_are_seen_and_tried_again(layout, study, caller):
    with known_as("DEST", 9):
        asked = post(caller("forwarding.write"), "commitments", peer_ae="DEST", study_uid=STUDY)
    assert asked.status_code == 202 and asked.json()["open"] == 3
    number = asked.json()["id"]
    commitments.postpone(Commitment.objects.get(), "refused", status=0x0124, is_final=True)
    [seen] = caller("forwarding.read").get("/api/commitments?side=node").json()["requests"]
    assert (seen["state"], seen["error"], seen["answer_status"]) == (
        "given-up",
        "refused",
        "0x0124",
    )
    write = caller("forwarding.write")
    assert post(write, f"commitments/{number}/retry").json()["state"] == "asking"
    assert post(write, "commitments/999/retry").status_code == 404
    commitments.finish(Commitment.objects.get())
    assert post(write, f"commitments/{number}/retry").status_code == 409


def receipts(**changed: object) -> dict:
    stored = Instance.objects.get(uid=ONE).stored_sha256
    copies = [{"vault": "v", "volume": "A1", "verified_at": "2026-01-01T00:00:00Z"}]
    one = {"sop_instance_uid": ONE, "stored_sha256": stored, "copies": copies, **changed}
    return {"study_uid": STUDY, "instances": [one]}


def test_the_archives_receipts_are_journalled_once_and_end_a_wait(layout, study, archive):
    digests.compute(layout)
    row = commitments.accept("1.2.3", cts(ONE), peer_ae="X", peer_address="", own_ae="Y")
    commitments.wait_for_copies(row)
    assert not commitments.due().exists()
    for _ in range(2):
        answer = post(archive("custody.receipt"), "custody/receipts", **receipts())
        assert answer.json() == {"study_uid": STUDY, "taken": [ONE], "refused": []}
    assert [record["kind"] for record in Journal(layout.journal).read()] == [COPIED]
    assert commitments.due().exists()


@pytest.mark.parametrize(
    "changed", [{"stored_sha256": "0" * 64}, {"copies": []}, {"copies": [{"volume": "A1"}]}]
)
def test_a_receipt_that_proves_nothing_is_refused(layout, study, archive, changed):
    digests.compute(layout)
    answer = post(archive("custody.receipt"), "custody/receipts", **receipts(**changed)).json()
    assert answer["taken"] == [] and answer["refused"][0]["sop_instance_uid"] == ONE
    assert not list(Journal(layout.journal).read())


def test_receipts_of_a_study_that_is_not_here_are_not_found(layout, transactional_db, archive):
    answer = post(archive("custody.receipt"), "custody/receipts", study_uid="1.2", instances=[])
    assert answer.status_code == 404
    for body in ({"study_uid": STUDY}, {"study_uid": STUDY, "instances": [{"copies": 1}]}):
        assert post(archive("custody.receipt"), "custody/receipts", **body).status_code == 400


def test_the_command_line_lists_resends_and_cancels(layout, study):
    queue.enqueue("DEST", Instance.objects.select_related("series__study"), "it")
    assert "3 waiting" in command("forward", "list")
    assert "3 instances are cancelled" in command("forward", "cancel", "--study", STUDY)
    assert "3 instances go again" in command("forward", "resend", "--destination", "DEST")
    with pytest.raises(CommandError, match="--destination or --study"):
        command("forward", "resend")


def test_the_command_line_checks_rules(layout, transactional_db, tmp_path):
    assert "0 rules" in command("forward", "rules", "check")
    file = tmp_path / "new.json"
    file.write_text(json.dumps({"rules": [{"name": "night", "destination": "TELERAD"}]}))
    assert "night: to TELERAD" in command("forward", "rules", "check", str(file))
    file.write_text('{"rules": [{"name": "night"}]}')
    with pytest.raises(CommandError, match="'night'"):
        command("forward", "rules", "check", str(file))


def test_the_command_line_asks_a_peer_to_commit(layout, study):
    with pytest.raises(CommandError, match="'DEST'"):
        command("commit", "ask", "DEST", STUDY)
    with known_as("DEST", 9):
        assert "DEST is asked for 3 instances" in command("commit", "ask", "DEST", STUDY)
    assert "DEST asking: 0 committed, 3 open" in command("commit", "list", "--peer", "DEST")


def test_what_needs_a_person_is_told_with_the_nodes_account(layout, study, caller):
    read = caller("status")
    assert read.get("/api/node").json()["problems"] == []
    queue.enqueue("DEST", Instance.objects.select_related("series__study"), "it")
    queue.note_away("DEST", "it hangs")
    layout.forwarding_rules.write_text("{")
    told = " ".join(read.get("/api/node").json()["problems"])
    assert "forwarding.json" in told and "3 instances wait for DEST: it hangs" in told
    Forward.objects.update(state="given-up")
    assert "3 instances for DEST were given up" in " ".join(
        read.get("/api/node").json()["problems"]
    )
