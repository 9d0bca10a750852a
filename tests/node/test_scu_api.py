"""The node as SCU over HTTP: echo, find, move, get and send, for portal and archive."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from pynetdicom import build_context
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_node.api import scu
from dicom_node.config import CONFIG
from dicom_node.models import Forward, Instance
from pacs_common.tickets import TicketIssuer
from tests.node.dimse_peers import EXPLICIT, known_as
from tests.node.objects import SERIES, STUDY, ct
from tests.node.test_send import matches_of, pacs, with_meta
from tests.node.web_answers import require_problem

pytestmark = pytest.mark.slow  # real peers, real waiting

FIND = StudyRootQueryRetrieveInformationModelFind
MOVE = StudyRootQueryRetrieveInformationModelMove
GET = StudyRootQueryRetrieveInformationModelGet


@pytest.fixture
def order(tmp_path):
    """Send an order with the portal's ticket for `scopes`."""
    signer = TicketIssuer.at("portal", tmp_path / "portal.key", CONFIG.trust_dir)

    def order(operation: str, body: object, *scopes: str, study: str | None = None):
        token = signer.issue(CONFIG.name, ["scu", *scopes], subject="it", study=study)
        return Client().post(
            f"/api/scu/{operation}",
            json.dumps(body),
            "application/json",
            headers={"Authorization": f"Bearer {token}"},
        )

    return order


@pytest.fixture(autouse=True)
def database(transactional_db, layout):
    """Each order may touch the index."""


def lines(answer) -> list[dict]:
    assert answer["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_a_known_peer_is_echoed(order):
    with pacs() as port, known_as("PACS", port):
        answer = order("echo", {"peer": "PACS"})
    assert answer.status_code == 200
    assert answer.json()["peer"] == f"PACS at 127.0.0.1:{port}"
    assert answer.json()["answered"] is True


def test_an_address_of_ones_own_choice_needs_its_own_scope(order):
    with pacs() as port:
        body = {"ae_title": "NEW", "host": "127.0.0.1", "port": port}
        require_problem(order("echo", body), 403)
        assert order("echo", body, "scu.address").status_code == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"ae_title": "X", "host": "h", "port": 0}, {"ae_title": "X", "host": 7, "port": 104},
     {"peer": "NOBODY"}, {"peer": 7}, [], {"ae_title": "\\", "host": "h", "port": 104}],
)  # fmt: skip
def test_a_peer_that_is_not_named_right_is_400(order, body):
    require_problem(order("echo", body, "scu.address"), 400)


def test_a_peer_that_is_away_is_502_with_its_reason(order):
    with known_as("GONE", 1):
        answer = order("echo", {"peer": "GONE"})
    require_problem(answer, 502)
    assert "refused" in answer.json()["detail"]


def test_matches_are_answered_as_dicom_json(order):
    with pacs(FIND, find=matches_of(3, [])) as port, known_as("PACS", port):
        told = order("find", {"peer": "PACS", "keys": {"PatientName": "LEF*"}}).json()
        fewer = order("find", {"peer": "PACS", "limit": 2}).json()
    names = [one["00100010"]["Value"][0]["Alphabetic"] for one in told["answers"]]
    assert names == ["Lefèvre^0", "Lefèvre^1", "Lefèvre^2"]
    assert told["complete"] is True
    assert (len(fewer["answers"]), fewer["complete"]) == (2, False)


@pytest.mark.parametrize(
    "wrong",
    [{"level": "NONSENSE"}, {"limit": 0}, {"limit": "many"}, {"keys": {"PatientID": 7}},
     {"keys": []}, {"keys": {"NoKeyword": ""}}, {"keys": {"Rows": "many"}},
     {"keys": {"Rows": "70000"}}, {"keys": {"FloatingPointValue": "x"}},
     {"keys": {"PatientName": "\ud800"}}, {"keys": {"PatientID": "A\r\nB"}},
     {"keys": {"PixelData": "x"}}, {"keys": {"CommandField": "1"}},
     {"keys": {"TransferSyntaxUID": "1.2"}}, {"keys": {"SpecificCharacterSet": "zz"}}],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_400(order, wrong):
    with known_as("PACS", 1):
        require_problem(order("find", {"peer": "PACS", **wrong}), 400)


@pytest.mark.parametrize("uid", ["\ud800", "1.2\n"])
def test_a_retrieve_that_makes_no_sense_is_400(order, uid):
    with known_as("PACS", 1):
        body = {"peer": "PACS", "uids": {"StudyInstanceUID": uid}}
        require_problem(order("move", body), 400)


def test_numbers_and_sequences_may_be_asked_for(order):
    asked = []

    def find(event):
        asked.append(event.identifier)
        yield 0x0000, None

    keys = {"Rows": "512", "Columns": "", "RequestAttributesSequence": "", "PatientID": "1"}
    with pacs(FIND, find=find) as port, known_as("PACS", port):
        assert order("find", {"peer": "PACS", "keys": keys}).status_code == 200
    assert (asked[0].Rows, asked[0].Columns) == (512, None)
    assert "RequestAttributesSequence" in asked[0]


def test_a_move_is_told_line_by_line(order, server):
    def move(event):
        yield "127.0.0.1", server.port, {"contexts": [build_context(CTImageStorage, EXPLICIT)]}
        yield 1
        yield 0xFF00, with_meta(ct(1))

    body = {"peer": "PACS", "uids": {"StudyInstanceUID": STUDY}}
    with pacs(MOVE, CTImageStorage, move=move) as port, known_as("PACS", port):
        told = lines(order("move", body))
    assert [(line["status"], line["completed"]) for line in told] == [("0xFF00", 1), ("0x0000", 1)]
    assert Instance.objects.get().uid == f"{SERIES}.1"


def test_a_get_lands_here(order, server):
    def get(event):
        yield 1
        yield 0xFF00, with_meta(ct(1))

    body = {"peer": "PACS", "level": "STUDY", "uids": {"StudyInstanceUID": [STUDY]}}
    with pacs(GET, CTImageStorage, get=get) as port, known_as("PACS", port):
        assert lines(order("get", body))[-1]["completed"] == 1
    assert Instance.objects.get().source_ae == "PACS"
    scu.close_ingest()


def test_a_move_that_is_refused_is_502(order):
    def move(event):
        yield None, None

    body = {"peer": "PACS", "uids": {"StudyInstanceUID": STUDY}}
    with pacs(MOVE, move=move) as port, known_as("PACS", port):
        answer = order("move", body)
    require_problem(answer, 502)
    assert "0xA801" in answer.json()["detail"]


def test_a_retrieve_that_breaks_off_ends_in_its_error(order):
    def get(event):
        yield 2
        yield 0xFF00, with_meta(ct(1))
        event.assoc.abort()
        yield 0xFF00, with_meta(ct(2))

    body = {"peer": "PACS", "uids": {"StudyInstanceUID": STUDY}}
    with pacs(GET, CTImageStorage, get=get) as port, known_as("PACS", port):
        first, last = lines(order("get", body))
    assert (first["completed"], first["remaining"]) == (1, 1)
    assert (last["error"]["status"], last["error"]["title"]) == (502, "Peer did not answer")
    assert Instance.objects.count() == 1
    scu.close_ingest()


def test_stored_instances_are_queued_for_a_known_destination(order, take):
    for number in (1, 2, 3):
        take(ct(number))
    body = {"destination": "WS1", "instances": [f"{SERIES}.1", f"{SERIES}.3"]}
    require_problem(order("send", body), 400)
    with known_as("WS1", 4242):
        answer = order("send", body)
        whole = order("send", {"destination": "WS1", "study_uid": STUDY})
    assert answer.status_code == 202
    assert answer.json() == {"destination": "WS1", "instances": 2, "queued": 2}
    assert whole.json() == {"destination": "WS1", "instances": 3, "queued": 1}
    assert set(Forward.objects.values_list("requested_by", flat=True)) == {"it"}


def test_a_ticket_of_one_study_sends_no_other(order, take):
    take(ct(1))
    with known_as("WS1", 4242):
        body = {"destination": "WS1", "series_uid": SERIES}
        require_problem(order("send", body, study="1.2.3"), 403)
        assert order("send", body, study=STUDY).status_code == 202
        require_problem(order("send", {"destination": "WS1", "study_uid": "1.2.9"}), 404)
    require_problem(order("send", {"destination": "WS1"}), 400)


@pytest.mark.parametrize("of_another", [{"instances": [f"{SERIES}.1"]}, {"series_uid": SERIES}])
def test_a_ticket_of_one_study_cannot_name_it_beside_instances_of_another(order, take, of_another):
    take(ct(1))
    with known_as("WS1", 4242):
        body = {"destination": "WS1", "study_uid": "1.2.3", **of_another}
        require_problem(order("send", body, study="1.2.3"), 400)
    assert not Forward.objects.exists()
