"""What arrived at the node, what was refused and what broke off, as technologists are told."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

from dicom_node.arrivals import transfers
from dicom_node.ingest.incoming import Outcome, Result
from dicom_node.models import Study, Transfer
from tests.node.objects import SERIES, STUDY, ct
from tests.support.raw_association import RawAssociation

NEW = f"{STUDY}.9"


@pytest.fixture
def told(ticket):
    """What the portal is told: `told("arrivals", hours=24)`."""

    def told(path: str, **params: object) -> dict:
        client = Client(headers={"Authorization": f"Bearer {ticket('arrivals.read')}"})
        answer = client.get(f"/api/{path}", params)
        assert answer.status_code == 200, answer.content
        return answer.json()

    return told


def send(port: int, *objects: Dataset, title: str = "CT1") -> None:
    ae = AE(ae_title=title)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    peer = ae.associate("127.0.0.1", port)
    assert peer.is_established
    for ds in objects:
        ds.file_meta = Dataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        peer.send_c_store(ds)
    peer.release()


def transfers_told(told, count: int = 1, **params: object) -> list[dict]:
    """Return the transfers once there are so many that ended: the row follows the release."""
    for _ in range(200):
        found = told("transfers", **params)["transfers"]
        if len(found) >= count and all(one["ended_at"] for one in found):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{found} are not {count} transfers")


def test_what_arrived_is_told_with_patient_source_times_and_counts(take, told):
    take(ct(1), source_ae="CT1")
    take(ct(2), source_ae="WS1")
    (study,) = told("arrivals")["studies"]
    assert study["study_uid"] == STUDY
    assert study["patient"] == {
        "issuer": "FREJUS",
        "id": "FR-1",
        "name": "Lefèvre^Hélène",
        "birth_date": "19500417",
        "sex": "F",
    }
    assert study["modalities"] == ["CT"]
    assert sorted(study["sources"]) == ["CT1", "WS1"]
    assert (study["series"], study["instances"]) == (1, 2)
    assert study["first_arrival_at"] < study["last_arrival_at"]
    assert study["state"] == "arriving"


def test_a_late_instance_is_told_though_origins_are_remembered(take, told):
    take(ct(1), source_ae="CT1")
    assert told("arrivals")["sources"] == ["CT1"]
    take(ct(2), source_ae="WS1")
    assert told("arrivals")["sources"] == ["CT1", "WS1"]


def test_the_latest_study_comes_first_and_old_ones_are_left_out(take, told):
    for number in (1, 2, 3):
        take(ct(number, study=f"{STUDY}.{number}", series=f"{SERIES}.{number}"))
    long_ago = timezone.now() - timedelta(hours=30)
    Study.objects.filter(uid=f"{STUDY}.2").update(last_arrival_at=long_ago)
    found = [study["study_uid"] for study in told("arrivals")["studies"]]
    assert found == [f"{STUDY}.3", f"{STUDY}.1"]
    assert len(told("arrivals", hours=48)["studies"]) == 3


def test_arrivals_are_chosen_by_modality_and_source(take, told):
    take(ct(1), source_ae="CT1")
    take(ct(2, study=NEW, series=f"{NEW}.1", Modality="MR"), source_ae="MR1")
    assert [one["study_uid"] for one in told("arrivals", modality="mr")["studies"]] == [NEW]
    assert [one["study_uid"] for one in told("arrivals", source="CT1")["studies"]] == [STUDY]
    assert told("arrivals", source="NOBODY")["studies"] == []


@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ({}, "quiet"),
        ({"prepared_revision": 1}, "prepared"),
        ({"prepared_revision": 1, "evicted_count": 1}, "archived"),
    ],
)
def test_a_study_says_how_far_it_is(take, told, columns, state):
    take(ct(1))
    earlier = timezone.now() - timedelta(minutes=10)
    Study.objects.update(last_arrival_at=earlier, **columns)
    assert told("arrivals")["studies"][0]["state"] == state


@pytest.mark.parametrize("hours", ["0", "-1", "x", "100000"])
def test_nonsense_hours_are_a_400(ticket, db, hours):
    client = Client(headers={"Authorization": f"Bearer {ticket('arrivals.read')}"})
    assert client.get("/api/arrivals", {"hours": hours}).status_code == 400


def test_a_transfer_counts_what_was_stored_and_tells_why_the_rest_was_refused(server, told):
    wrong = ct(3, SeriesInstanceUID=None)
    other = ct(4, SeriesInstanceUID=None)
    send(server.port, ct(1), ct(2), ct(2), wrong, other)
    (found,) = transfers_told(told)
    assert (found["source_ae"], found["called_ae"]) == ("CT1", "ANY-SCP")
    assert (found["stored"], found["duplicates"], found["refused"]) == (2, 1, 2)
    assert found["why_ended"] == ""
    assert found["studies"] == {STUDY: 3}
    (refusal,) = found["refusals"]
    assert refusal["count"] == 2
    assert refusal["status"].startswith("0x")
    assert "Series Instance UID" in refusal["why"]
    assert refusal["sop_instance_uid"] == f"{SERIES}.3"


def test_a_quarantined_object_is_counted_apart(server, told):
    send(server.port, ct(1), ct(1, PatientSex="M"))
    (found,) = transfers_told(told, troubled=1)
    assert (found["stored"], found["quarantined"]) == (1, 1)
    assert told("arrivals")["studies"][0]["quarantined"] == 1


def test_a_transfer_that_broke_off_says_so(server, told):
    with RawAssociation(server.port) as peer:
        peer.associate()
        peer.begin_store(f"{SERIES}.1")
        peer.reset()
    (found,) = transfers_told(told, troubled=1)
    assert found["unfinished"] == 1
    assert found["why_ended"]


def test_an_association_that_stored_nothing_leaves_no_row(server, told):
    send(server.port)
    send(server.port, ct(1))
    assert [one["stored"] for one in transfers_told(told)] == [1]


def test_whole_transfers_are_no_trouble(server, told):
    send(server.port, ct(1))
    assert len(transfers_told(told)) == 1
    assert told("transfers", troubled=1)["transfers"] == []


def test_a_long_association_is_told_while_it_lasts(server, told, monkeypatch):
    monkeypatch.setattr(transfers, "TOLD_EVERY_S", 0.0)
    account = transfers.Account({"ae_title": "CT1", "address": "10.0.0.7"}, "ARGENS_CT")
    account.begin()
    account.refused(transfers.Refusal(0xA700, "the disk is full"))
    (found,) = told("transfers")["transfers"]
    assert (found["refused"], found["ended_at"]) == (1, None)
    account.end(transfers.RELEASED)
    (found,) = told("transfers")["transfers"]
    assert found["ended_at"]


def test_what_a_stopped_node_left_open_is_closed(db):
    now = timezone.now()
    Transfer.objects.create(source_ae="CT1", began_at=now, last_at=now, stored=1)
    transfers.close_open()
    row = Transfer.objects.get()
    assert row.ended_at
    assert row.why_ended == transfers.CUT_BY_RESTART


def test_rows_reasons_and_texts_are_bounded(db, monkeypatch):
    monkeypatch.setattr(transfers, "MAX_ROWS", 3)
    for _ in range(5):
        account = transfers.Account({"ae_title": "C\0T" * 200, "address": "x"}, "A")
        for number in range(30):
            account.begin()
            account.refused(transfers.Refusal(0xC000, f"{number} " + "x" * 1000))
        account.end("y" * 1000)
    rows = list(Transfer.objects.all())
    assert len(rows) == 3
    assert len(rows[0].refusals) == transfers.MAX_REASONS
    assert rows[0].refused == 30
    assert len(rows[0].why_ended) == transfers.MAX_TEXT
    assert "\0" not in rows[0].source_ae


def test_a_lost_database_costs_only_the_memory(monkeypatch, db, ingest, take):
    from django.db import OperationalError

    result = take(ct(1))
    assert isinstance(result, Result) and result.outcome is Outcome.STORED

    def away(**_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(Transfer.objects, "create", away)
    account = transfers.Account({"ae_title": "CT1", "address": "x"}, "A")
    account.begin()
    account.stored(result)
    account.end(transfers.RELEASED)


@pytest.mark.parametrize("path", ["arrivals", "transfers"])
def test_only_the_portal_is_told(ticket, db, path):
    assert Client().get(f"/api/{path}").status_code == 401
    other = Client(headers={"Authorization": f"Bearer {ticket('dicomweb')}"})
    assert other.get(f"/api/{path}").status_code == 403
