"""Decisions about quarantined objects: nothing is destroyed, all of it survives and is undone."""

from __future__ import annotations

import io
import os
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from dicom_node import audit
from dicom_node.commitment.checks import COMMITTED, PROCESSING_FAILURE, Checker
from dicom_node.custody import quarantine
from dicom_node.index import rebuild
from dicom_node.ingest.ingest import Outcome
from dicom_node.models import Commitment, CommitmentItem, Instance, Quarantined, Series, Study
from dicom_node.store import part10
from dicom_node.store.journal import TAKEN, Journal
from tests.node.objects import SERIES, STUDY, ct, put_away
from tests.node.test_rebuild import snapshot

ONE = f"{SERIES}.1"
Decision = Quarantined.Decision


@pytest.fixture
def caller(ticket):
    """An HTTP client with the portal's ticket for one scope."""

    def caller(scope: str) -> Client:
        return Client(headers={"Authorization": f"Bearer {ticket(scope)}"})

    return caller


@pytest.fixture
def two(take):
    """A stored slice, and another one of the same UID in quarantine."""
    take(ct(1))
    take(ct(2))
    came = ct(1, WindowCenter="80", SeriesDescription="Coronale")
    came.PixelData = bytes(reversed(came.PixelData))
    assert take(came, source_ae="CT2").outcome is Outcome.QUARANTINED
    return Quarantined.objects.get()


@pytest.fixture
def decide(caller):
    def decide(row: Quarantined, verb: str, comment: str = "the second one is right"):
        client = caller("quarantine.decide")
        body = {"comment": comment}
        return client.post(f"/api/quarantine/{row.id}/{verb}", body, "application/json")

    return decide


def stored_window(layout) -> str:
    row = Instance.objects.get(uid=ONE)
    ds = part10.read_object(layout.object(row.hour, row.uid))
    assert part10.data_set_sha256(layout.object(row.hour, row.uid)) == row.received_sha256
    return str(int(ds.WindowCenter))


def quarantined_files(layout) -> list[str]:
    return sorted(path.name for path in layout.quarantine.rglob("*.dcm"))


def commitment_of(uid: str, layout) -> int:
    request = Commitment.objects.create(
        side="peer", state="checking", transaction_uid="1.2", peer_ae="CT1", own_ae="A",
        due_at=timezone.now(),
    )  # fmt: skip
    sop_class = Instance.every.get(uid=uid).sop_class
    item = CommitmentItem.objects.create(commitment=request, sop_class=sop_class, uid=uid)
    checker = Checker(layout, {sop_class}, 1, timedelta(0))
    checker.decide(request, lambda: True)
    item.refresh_from_db()
    return item.reason


def test_what_waits_is_listed_with_why_and_whose_it_is(two, caller):
    told = caller("arrivals.read").get("/api/quarantine").json()
    assert told["waiting"] == 1
    (row,) = told["quarantined"]
    assert (row["reason"], row["source_ae"]) == ("same-uid", "CT2")
    assert row["sop_instance_uid"] == ONE
    assert row["patient"] == {"name": "Lefèvre^Hélène", "id": "FR-1"}
    assert row["decision"] == ""


def test_both_objects_stand_side_by_side_with_what_differs(two, caller):
    told = caller("arrivals.read").get(f"/api/quarantine/{two.id}").json()
    assert told["object"]["series_description"] == "Coronale"
    assert told["stored"]["series_description"] == "Axiale"
    found = {one["name"]: (one["stored"], one["came"]) for one in told["differences"]}
    assert found["Window Center"] == ("40.0", "80")
    assert found["Series Description"] == ("Axiale", "Coronale")
    assert found["Pixel Data"] == ("512 bytes", "512 bytes (other content)")
    assert len(found) == 3
    assert told["may_take"]


def test_the_quarantined_image_has_a_picture(two, caller):
    answer = caller("arrivals.read").get(f"/api/quarantine/{two.id}/picture")
    assert answer["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (16, 16)


def test_what_is_kept_out_leaves_the_list_and_its_file_stays(two, decide, caller, layout):
    before = quarantined_files(layout)
    assert commitment_of(ONE, layout) == PROCESSING_FAILURE
    assert decide(two, "keep", "sent twice").json() == {"waiting": 0}
    assert caller("arrivals.read").get("/api/quarantine").json()["quarantined"] == []
    (row,) = caller("arrivals.read").get("/api/quarantine?decided=1").json()["quarantined"]
    assert (row["decision"], row["decided_by"], row["comment"]) == ("kept", "tester", "sent twice")
    assert quarantined_files(layout) == before
    assert stored_window(layout) == "40"
    assert commitment_of(ONE, layout) == COMMITTED


def test_what_was_kept_out_is_kept_out_when_it_comes_again(two, decide, take):
    decide(two, "keep")
    came = ct(1, WindowCenter="80", SeriesDescription="Coronale")
    came.PixelData = bytes(reversed(came.PixelData))
    assert take(came).outcome is Outcome.QUARANTINED
    assert Quarantined.waiting.count() == 0


def test_what_is_taken_is_stored_and_the_former_lies_in_quarantine(two, decide, layout):
    former = Instance.objects.get(uid=ONE)
    revision = Study.objects.get().revision
    assert decide(two, "take").status_code == 200
    assert stored_window(layout) == "80"
    (row,) = Quarantined.objects.all()
    assert (row.received_sha256, row.decision) == (former.received_sha256, Decision.REPLACED)
    kept = layout.quarantined(row.hour, row.uid, row.received_sha256)
    assert part10.data_set_sha256(kept) == former.received_sha256
    assert quarantined_files(layout) == [kept.name]
    assert commitment_of(ONE, layout) == COMMITTED
    study = Study.objects.get()
    assert (study.instance_count, study.series_count) == (2, 1)
    assert study.size_bytes == sum(one.size_bytes for one in Instance.objects.all())
    assert study.revision > revision
    assert Instance.objects.get(uid=ONE).source_ae == "CT2"


def test_the_only_image_of_a_study_can_be_replaced(take, decide, layout):
    take(ct(1))
    take(ct(1, WindowCenter="80"))
    assert decide(Quarantined.objects.get(), "take").status_code == 200
    assert stored_window(layout) == "80"
    study = Study.objects.get()
    assert (study.instance_count, study.series_count, study.revision) == (1, 1, 3)


def test_a_lost_file_is_made_good_by_the_one_in_quarantine(take, decide, layout):
    take(ct(1))
    row = Instance.objects.get()
    layout.object(row.hour, row.uid).unlink()
    assert take(ct(1)).outcome is Outcome.QUARANTINED
    waiting = Quarantined.objects.get()
    assert waiting.received_sha256 == row.received_sha256
    assert decide(waiting, "take").status_code == 200
    assert stored_window(layout) == "40"
    assert Quarantined.objects.count() == 0


@pytest.mark.parametrize("verb", ["keep", "take"])
def test_a_decision_can_be_undone(two, decide, layout, verb):
    before = snapshot()
    decide(two, verb)
    (row,) = Quarantined.objects.all()
    assert decide(row, "undo").json() == {"waiting": 1}
    assert stored_window(layout) == "40"
    after = snapshot()
    for rows in (before, after):
        rows["Study", STUDY, ""].pop("revision")
    assert after == before
    assert commitment_of(ONE, layout) == PROCESSING_FAILURE


@pytest.mark.parametrize("verbs", [["keep"], ["take"], ["take", "undo"], ["keep", "undo", "take"]])
def test_decisions_survive_a_reindex(two, decide, layout, verbs):
    for verb in verbs:
        assert decide(Quarantined.objects.get(), verb).status_code == 200
    before = snapshot()
    rebuild.rebuild(layout)
    after = snapshot()
    for rows in (before, after):
        rows["Study", STUDY, ""].pop("revision")
        for key in rows:
            rows[key].pop("detail", None)
    assert after == before


def stop_after(monkeypatch, module, name: str) -> None:
    """Let the process die, as it were, when it has done `name`."""
    real = getattr(module, name)

    def die(*args, **kwargs):
        real(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, die)


@pytest.mark.parametrize("step", ["_claimed", "_note", "_link", "_place", "_write_rows"])
@pytest.mark.parametrize("verb", ["take", "undo"])
def test_an_interrupted_exchange_is_finished_by_the_chores(
    two, decide, layout, monkeypatch, step, verb
):
    if verb == "undo":
        decide(two, "take")
    window, decision = ("80", Decision.REPLACED) if verb == "take" else ("40", Decision.NONE)
    row = Quarantined.objects.get()
    with monkeypatch.context() as patch:
        stop_after(patch, quarantine, step)
        with pytest.raises(KeyboardInterrupt):
            getattr(quarantine, verb)(layout, row, "tester", "")
    long_ago = timezone.now() - timedelta(minutes=5)
    under_way = Quarantined.objects.filter(decision__in=("taking", "returning"))
    at = under_way.first()
    if at is not None and step == "_claimed":  # nothing tells of it yet but the row
        under_way.update(decided_at=long_ago)
    else:
        monkeypatch.setattr(quarantine, "UNDER_WAY_FOR", timedelta(0))
    rebuild.catch_up(layout, since="")
    quarantine.settle_interrupted(layout)
    assert stored_window(layout) == window
    (left,) = Quarantined.objects.all()
    assert left.decision == decision
    assert len(quarantined_files(layout)) == 1
    records = [one for one in Journal(layout.journal).read() if one["kind"] == TAKEN]
    assert len(records) == (1 if verb == "take" else 2)


def test_an_exchange_that_was_journalled_is_finished_after_a_lost_index(two, layout, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, quarantine, "_note")
        with pytest.raises(KeyboardInterrupt):
            quarantine.take(layout, two, "tester", "")
    rebuild.rebuild(layout)
    monkeypatch.setattr(quarantine, "UNDER_WAY_FOR", timedelta(0))
    quarantine.settle_interrupted(layout)
    assert stored_window(layout) == "80"


def test_another_patients_object_is_kept_out_but_not_taken(take, decide, caller, layout):
    take(ct(1))
    take(ct(2, PatientID="FR-2", PatientName="Autre^Paul"))
    row = Quarantined.objects.get()
    told = caller("arrivals.read").get(f"/api/quarantine/{row.id}").json()
    assert told["object"]["patient_id"] == "FR-2"
    assert told["study"]["patient_id"] == "FR-1"
    assert told["stored"] is None
    assert not told["may_take"]
    answer = decide(row, "take")
    assert answer.status_code == 409
    assert "correct the identity" in answer.json()["detail"]
    assert decide(row, "keep").status_code == 200


def test_an_object_of_another_patient_under_a_known_uid_is_not_taken(take, decide):
    take(ct(1))
    take(ct(1, PatientID="FR-2"))
    answer = decide(Quarantined.objects.get(), "take")
    assert answer.status_code == 409
    assert "FREJUS/FR-2" in answer.json()["detail"]


def test_another_patients_object_joins_once_the_exam_was_corrected(take, decide, caller, layout):
    take(ct(1))
    take(ct(2, PatientID="FR-2"))
    values = {"PatientID": "FR-2"}
    asked = {"study_uid": STUDY, "id": str(uuid.uuid4()), "kind": "identity", "values": values}
    asked |= {"why": "wrong worklist entry", "latest": "", "preview": False}
    answer = caller("corrections.write").post("/api/corrections", asked, "application/json")
    assert answer.status_code in (200, 201), answer.content
    assert decide(Quarantined.objects.get(), "take").status_code == 200
    assert Study.objects.get().instance_count == 2
    assert Quarantined.objects.count() == 0
    before = snapshot()
    rebuild.rebuild(layout)
    assert set(snapshot()) == set(before)


def test_what_is_rejected_is_not_replaced(two, decide, caller):
    address = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{ONE}"
    assert caller("dicomweb.delete").delete(address).status_code == 200
    assert "rejected" in decide(two, "take").json()["detail"]


def test_what_is_in_the_archive_is_brought_back_first(two, decide, layout):
    put_away(layout, ONE)
    assert "in the archive" in decide(two, "take").json()["detail"]


def test_two_decisions_at_once_are_one(two, decide):
    assert decide(two, "keep").status_code == 200
    assert decide(two, "take").status_code == 409
    assert decide(two, "keep").status_code == 409


@pytest.mark.parametrize("comment", ["x" * 1025, "two\nlines", 7])
def test_a_comment_is_one_short_line(two, decide, comment):
    assert decide(two, "keep", comment).status_code == 400
    assert Quarantined.waiting.count() == 1


def test_a_damaged_quarantined_file_is_not_taken(two, decide, layout):
    path = layout.quarantined(two.hour, two.uid, two.received_sha256)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "damaged" in decide(two, "take").json()["detail"]


def test_decisions_are_audited(two, decide, monkeypatch):
    noted = []
    monkeypatch.setattr(audit, "note", lambda kind, **told: noted.append((kind, told)))
    decide(two, "take")
    kind, told = noted[-1]
    assert kind == TAKEN
    assert told["by"] == "tester"
    assert told["sop_instance_uid"] == ONE


def test_the_files_are_synced_before_the_rows(two, layout, monkeypatch):
    done = []
    sync, write = quarantine.blobs.sync_folder, quarantine._write_rows
    monkeypatch.setattr(quarantine.blobs, "sync_folder", lambda f: done.append("sync") or sync(f))
    monkeypatch.setattr(quarantine, "_write_rows", lambda *a: done.append("rows") or write(*a))
    quarantine.take(layout, two, "tester", "")
    assert done.index("rows") > done.index("sync")
    assert os.path.exists(layout.object(two.hour, two.uid))


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [("get", "", "arrivals.read"), ("post", "/1/keep", "quarantine.decide")],
)
def test_only_the_portal_decides(caller, db, method, path, scope):
    assert getattr(Client(), method)(f"/api/quarantine{path}").status_code == 401
    assert getattr(caller("dicomweb"), method)(f"/api/quarantine{path}").status_code == 403


def test_series_of_a_replaced_image_are_counted_anew(take, decide):
    take(ct(1))
    take(ct(1, SeriesInstanceUID=f"{STUDY}.7", SeriesNumber=7))
    decide(Quarantined.objects.get(), "take")
    assert [series.uid for series in Series.objects.all()] == [f"{STUDY}.7"]
    assert Study.objects.get().series_count == 1
