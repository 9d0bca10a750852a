"""What nodes and the archive noted comes into the portal's chain, each line once, by real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from pacs_common.node_client import NodeClient
from pacs_web.audit.collecting import collect
from pacs_web.audit.models import Action, AuditEvent, AuditSource
from pacs_web.audit.verifying import verify
from pacs_web.nodes.registry import ticket_issuer
from tests.common.peer import Peer, breaks_off, peer, says_json

STUDY = "1.2.3"
QUERY = {
    "key": "2026-11-28:0:aa", "at": "2026-11-28T08:00:00.123+00:00", "kind": "query",
    "ae_title": "WS1", "address": "10.0.0.8", "identity": "", "status": "0x0000",
    "keys": {"PatientName": "MARTIN*"},
}  # fmt: skip
SENT = {
    "key": "2026-11-28:90:bb", "at": "2026-11-28T08:01:00+00:00", "kind": "sent",
    "ae_title": "WS1", "address": "10.0.0.8", "identity": "anna", "studies": {STUDY: 3, "1.2.4": 1},
    "failed": 0,
}  # fmt: skip


def page(*records: Any, onwards: str = "c", more: bool = False) -> Any:
    return says_json({"records": list(records), "next": onwards, "more": more})


@contextmanager
def source(*answers: Any) -> Iterator[tuple[NodeClient, Peer]]:
    with peer(*answers) as served:
        client = NodeClient("CT", served.url, ticket_issuer(), subject="audit")
        yield client, served
        client.http.close()


def rows() -> list[AuditEvent]:
    return list(AuditEvent.objects.order_by("id"))


def test_a_query_by_dicom_is_a_row_with_its_person_place_and_time(db: None) -> None:
    with source(page(QUERY)) as (client, _):
        assert collect("CT", client) == 1
    [row] = rows()
    assert (row.who, row.action, row.result) == ("WS1", Action.SEARCH, "success")
    assert (row.source, row.address, row.agent) == ("CT", "10.0.0.8", "AE WS1")
    assert row.at == datetime(2026, 11, 28, 8, 0, 0, 123000, tzinfo=UTC)
    assert row.detail["keys"] == {"PatientName": "MARTIN*"}
    assert verify([]).broken is None


RESCUED = {
    "at": "2026-11-28T09:00:00+00:00", "by": "rescue", "issuer": "rescue", "token": "rescue",
    "address": "10.0.0.8", "person": "Dr Martin", "reason": "portal down",
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "action", "result"),
    [
        ({"kind": "rescue-opened"}, Action.GLASS, "success"),
        ({"kind": "rescue-refused"}, Action.LOGIN_FAILED, "refused"),
        ({"kind": "rescue-left"}, Action.LOGOUT, "success"),
        ({"kind": "query", "keys": {}}, Action.SEARCH, "success"),
        ({"kind": "read", "scope": "exam", "study_uid": STUDY}, Action.STUDY, "success"),
        ({"kind": "read", "scope": "images", "study_uid": STUDY}, Action.IMAGES, "success"),
        ({"kind": "read", "scope": "header", "study_uid": STUDY}, Action.HEADER, "success"),
    ],
)
def test_who_came_past_the_portal_stands_in_its_audit(
    db: None, told: dict[str, Any], action: Action, result: str
) -> None:
    line = RESCUED | told | {"key": "2026-11-28:1:cc"}
    with source(page(line)) as (client, _):
        assert collect("CT", client) == 1
    [row] = rows()
    assert (row.who, row.action, row.result, row.source) == ("rescue", action, result, "CT")
    assert (row.detail["person"], row.detail["reason"]) == ("Dr Martin", "portal down")


def test_each_study_that_was_sent_is_a_row_of_its_patient(db: None) -> None:
    AuditEvent.objects.create(
        who="x", action="study", study_uid=STUDY, patient_issuer="FREJUS", patient_id="P1"
    )
    with source(page(SENT)) as (client, _):
        assert collect("CT", client) == 2
    sent = rows()[1:]
    assert [(row.study_uid, row.patient_id) for row in sent] == [(STUDY, "P1"), ("1.2.4", "")]
    assert {row.who for row in sent} == {"anna"}


def test_a_source_tells_whose_the_studies_are(db: None) -> None:
    told = {STUDY: {"issuer": "FREJUS", "id": "P9"}}
    answer = {"records": [SENT], "patients": told, "next": "c", "more": False}
    with source(says_json(answer)) as (client, _):
        collect("CT", client)
    assert [(row.patient_issuer, row.patient_id) for row in rows()] == [("FREJUS", "P9"), ("", "")]


def test_what_is_collected_twice_is_kept_once(db: None) -> None:
    for _ in range(2):
        with source(page(QUERY, SENT, QUERY)) as (client, _served):
            collect("CT", client)
    assert len(rows()) == 3
    with source(page(QUERY)) as (client, _served):
        assert collect("RF", client) == 1  # the same key of another node is another line


def test_collecting_goes_on_where_it_ended(db: None) -> None:
    with source(page(QUERY, onwards="c1", more=True), page(SENT, onwards="c2")) as (client, served):
        collect("CT", client)
        collect("CT", client)
    afters = [asked.path.partition("after=")[2].partition("&")[0] for asked in served.asked]
    assert afters == ["", "c1", "c2"]


@pytest.mark.parametrize(
    "answer",
    [
        says_json([]),
        says_json({"records": [{"kind": "no key"}], "next": "c", "more": False}),
        says_json({"records": [3], "next": "c", "more": False}),
        says_json({"records": [], "next": None, "more": False}),
        says_json({"records": [SENT], "patients": {STUDY: 3}, "next": "c", "more": False}),
        breaks_off(b'{"records"', 900),
    ],
)
def test_a_source_that_fails_is_named_and_keeps_its_place(db: None, answer: Any) -> None:
    with source(page(QUERY, onwards="here")) as (client, _):
        collect("CT", client)
    with source(answer) as (client, _):
        assert collect("CT", client) == 0
    known = AuditSource.objects.get(name="CT")
    assert known.cursor == "here"
    assert known.problem


def test_a_source_that_is_back_has_no_problem(db: None) -> None:
    AuditSource.objects.create(name="CT", problem="away")
    with source(page()) as (client, _):
        collect("CT", client)
    assert AuditSource.objects.get(name="CT").problem == ""


def test_a_source_that_never_ends_is_left_for_the_next_round(db: None) -> None:
    with source(page(onwards="c", more=True)) as (client, served):
        collect("CT", client)
    assert len(served.asked) == 2


def test_what_the_portal_asked_itself_is_not_told_again(db: None) -> None:
    own = {"key": "k", "at": QUERY["at"], "kind": "read", "issuer": "portal", "token": "ticket"}
    person = own | {"key": "k2", "token": "API token", "by": "lea", "study_uid": STUDY}
    with source(page(own, person)) as (client, _):
        collect("CT", client)
    assert [(row.who, row.action, row.agent) for row in rows()] == [
        ("lea", "dicomweb", "API token")
    ]


@pytest.mark.parametrize(
    ("record", "action", "result"),
    [
        ({"kind": "rejected", "note_uid": "1.9", "by": "x"}, "reject", "success"),
        ({"kind": "rejected", "why": "unknown"}, "refused", "refused"),
        ({"kind": "refused", "why": "no"}, "refused", "refused"),
        ({"kind": "evicted", "study_uid": STUDY}, "delete", "success"),
        ({"kind": "query", "status": "0xA900"}, "search", "failed"),
        ({"kind": "query", "status": "0xFE00"}, "search", "success"),
        ({"kind": "sent", "failed": 2}, "send", "failed"),
        ({"kind": "ended", "why": "aborted"}, "connect", "failed"),
        ({"kind": "ended", "why": "released"}, "connect", "success"),
        ({"kind": "peer-approved"}, "configure", "success"),
        ({"kind": "job-failed", "by": "rule"}, "job", "failed"),
        ({"kind": "asked", "job": 3, "by": "archivist"}, "archive-job", "success"),
        ({"kind": "cancelled", "job": 3, "by": "archivist"}, "archive-job", "success"),
        ({"kind": "cancelled", "destination": "WS1"}, "send", "success"),
        ({"kind": "held", "study_uid": STUDY}, "archive", "success"),
        ({"kind": "list-approved", "list": 1}, "archive", "success"),
        ({"kind": "volume-retired", "volume": "A00001"}, "archive", "success"),
        ({"kind": "rule-saved", "rule": 1}, "configure", "success"),
        ({"kind": "asked", "operation": "C-FIND"}, "send", "success"),
        ({"kind": "unreadable"}, "other", "failed"),
        ({"kind": "something new"}, "other", "success"),
    ],
)
def test_each_kind_of_line_is_an_act_with_its_result(
    db: None, record: dict[str, Any], action: str, result: str
) -> None:
    with source(page({"key": "k", "at": "nonsense"} | record)) as (client, _):
        collect("CT", client)
    [row] = rows()
    assert (row.action, row.result) == (action, result)
