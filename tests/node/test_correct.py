"""A correction shows another identity at every exit, undoably; no stored byte changes (rule 10)."""

from __future__ import annotations

import io
import json
import uuid
import zipfile

import pytest
from django.test import Client
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_node.audit import note
from dicom_node.chores import digests
from dicom_node.custody import correct
from dicom_node.dimse.scu import outgoing
from dicom_node.dimse.scu.encoding import encode
from dicom_node.dimse.scu.plan import Plan
from dicom_node.index import corrections, rebuild
from dicom_node.index.cursors import rows
from dicom_node.index.query import Level, Query
from dicom_node.index.wanted import instances
from dicom_node.ingest import door
from dicom_node.ingest.ingest import Outcome
from dicom_node.models import Correction, Forward, Instance, Quarantined, Study
from dicom_node.store import part10
from dicom_node.store.journal import CORRECTED, Journal
from pacs_common.errors import Conflict, Unavailable
from tests.node.objects import SERIES, STUDY, ct, put_away
from tests.node.test_rebuild import snapshot
from tests.node.web_answers import require_problem

ADDRESS = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ADDRESS}/series/{SERIES}/instances/{SERIES}.1"
OTHER = {
    "PatientName": "Durand^Zoë",
    "PatientID": "FR-2",
    "PatientBirthDate": "1980-02-29",
    "PatientSex": "M",
}


@pytest.fixture
def web(ticket, ingest):
    """An HTTP client per scope."""

    def web(scope: str, **bound: object) -> Client:
        return Client(headers={"Authorization": f"Bearer {ticket(scope, **bound)}"})

    yield web
    door.close()


@pytest.fixture
def post(web):
    """POST a correction of the study; returns the answer."""

    def post(values: dict[str, str] = OTHER, kind: str = "moved", **told: object):
        body = {"study_uid": STUDY, "id": str(uuid.uuid4()), "kind": kind, "why": "wrong worklist"}
        return web("corrections.write").post(
            "/api/corrections", body | {"values": values} | told, content_type="application/json"
        )

    return post


@pytest.fixture
def move(post):
    """Move the study to another patient; returns the correction."""

    def move(values: dict[str, str] = OTHER, kind: str = "moved", **told: object) -> dict:
        answer = post(values, kind, **told)
        assert answer.status_code == 200, answer.content
        return answer.json()["correction"]

    return move


@pytest.fixture
def undo(web):
    def undo(told: dict):
        return web("corrections.write").post(f"/api/corrections/{told['id']}/undo")

    return undo


def found(level: Level = Level.STUDY, **keys: str) -> list[tuple[str, ...]]:
    """Return (Patient ID, name, birth date) of what a query finds."""
    asked = ["PatientName", "PatientID", "PatientBirthDate"]
    found = rows(Query(level, keys, asked=asked))
    return [(row[1], row[0], row[2]) for row in found]


def whole(answer) -> Dataset:
    """Return the one object of an answer."""
    content = answer.getvalue() if answer.streaming else answer.content
    return dcmread(io.BytesIO(content))


def old_of(ds: Dataset) -> Dataset:
    (item,) = ds.OriginalAttributesSequence
    return item.ModifiedAttributesSequence[0]


def test_queries_find_the_corrected_patient_alone(take, move):
    take(ct(1, PatientComments="allergic", OtherPatientIDs="X-9"))
    move()
    assert found(PatientName="DURAND*") == [("FR-2", "Durand^Zoë", "19800229")]
    assert found(PatientName="LEFEVRE*") == []
    assert found(Level.PATIENT, PatientID="FR-2") == found()
    assert found(OtherPatientIDs="X-9") == []
    assert found(PatientComments="allergic") == []
    assert instances(Level.PATIENT, {"PatientID": "FR-2"}).exists()


def test_the_stored_bytes_stay_and_custody_gives_them(take, move, archive, layout):
    take(ct(1))
    digests.compute(layout)
    row = Instance.objects.get()
    stored = layout.object(row.hour, row.uid).read_bytes()
    move()
    assert layout.object(row.hour, row.uid).read_bytes() == stored
    client = archive("custody.read")
    address = f"/api/custody/studies/{STUDY}"
    assert client.get(f"{address}/instances/{row.uid}").getvalue() == stored
    manifest = client.get(address).json()
    assert manifest["patient_key"]["id"] == "FR-2"
    (record,) = manifest["journal"]
    assert record["kind"] == CORRECTED
    assert (record["why"], record["by"], record["values"]["PatientID"]) == (
        "wrong worklist", "tester", "FR-2",
    )  # fmt: skip
    assert manifest["instances"][0]["stored_sha256"] == row.stored_sha256
    assert manifest["revision"] == 2


@pytest.mark.parametrize(
    "syntax", ["*", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70",
               "1.2.840.10008.1.2.1.99"],
)  # fmt: skip
def test_wado_sends_it_corrected_in_every_syntax(take, move, portal, syntax):
    take(ct(1))
    accept = f"application/dicom; transfer-syntax={syntax}"
    before = portal.get(INSTANCE, headers={"Accept": accept})
    move()
    answer = portal.get(INSTANCE, headers={"Accept": accept})
    assert answer["ETag"] != before["ETag"]
    content = answer.getvalue()
    ds, plain = dcmread(io.BytesIO(content)), whole(before)
    assert (ds.PatientName, ds.PatientID, ds.PatientBirthDate) == ("Durand^Zoë", "FR-2", "19800229")
    assert (old_of(ds).PatientName, old_of(ds).PatientID) == ("Lefèvre^Hélène", "FR-1")
    assert ds.PixelData == plain.PixelData
    assert int(answer["Content-Length"]) == len(content)


def test_ranges_archives_and_parts_are_corrected(take, move, portal):
    take(ct(1))
    move()
    single = portal.get(INSTANCE, headers={"Accept": "application/dicom"}).getvalue()
    part = portal.get(INSTANCE, headers={"Accept": "application/dicom", "Range": "bytes=100-399"})
    assert part.getvalue() == single[100:400]
    packed = portal.get(ADDRESS, headers={"Accept": "application/zip"}).getvalue()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (name,) = archive.namelist()
        assert dcmread(io.BytesIO(archive.read(name))).PatientID == "FR-2"
    parts = portal.get(ADDRESS, headers={"Accept": 'multipart/related; type="application/dicom"'})
    assert b"Durand" in parts.getvalue()


def test_metadata_and_its_tags_are_corrected(take, move, portal, undo):
    take(ct(1))
    address = f"{ADDRESS}/series/{SERIES}/metadata"
    before = portal.get(address)
    plain = before.getvalue() if before.streaming else before.content
    told = move()
    for where in (address, f"{ADDRESS}/metadata", f"{INSTANCE}/metadata"):
        answer = portal.get(where)
        (one,) = json.loads(answer.getvalue())
        assert one["00100010"]["Value"][0]["Alphabetic"] == "Durand^Zoë"
        (item,) = one["04000561"]["Value"]
        (old,) = item["04000550"]["Value"]
        assert old["00100020"]["Value"] == ["FR-1"]
    stale = portal.get(address, headers={"If-None-Match": before["ETag"]})
    assert stale.status_code == 200
    xml = portal.get(address, headers={"Accept": 'multipart/related; type="application/dicom+xml"'})
    assert "Durand" in xml.getvalue().decode()
    assert undo(told).status_code == 200
    again = portal.get(address)
    assert (again["ETag"], again.getvalue()) == (before["ETag"], plain)


def test_bulk_data_is_found_where_the_corrected_metadata_says(take, move, portal):
    take(ct(1))
    move()
    (one,) = json.loads(portal.get(f"{INSTANCE}/metadata").getvalue())
    answer = portal.get(one["7FE00010"]["BulkDataURI"])
    assert answer.getvalue() == ct(1).PixelData


def test_frames_are_the_same_and_burned_in_names_are_not(take, move, portal):
    take(ct(1))
    accept = {"Accept": "application/octet-stream"}
    frame = portal.get(f"{INSTANCE}/frames/1", headers=accept).getvalue()
    burned = portal.get(f"{INSTANCE}/rendered?annotation=patient")
    assert "no-cache" in burned["Cache-Control"]
    move()
    assert portal.get(f"{INSTANCE}/frames/1", headers=accept).getvalue() == frame
    anew = portal.get(f"{INSTANCE}/rendered?annotation=patient")
    assert anew["ETag"] != burned["ETag"]
    assert anew.content != burned.content


def test_the_header_shows_the_original_attributes(take, move, portal, layout):
    take(ct(1))
    move()
    for is_stub in (False, True):
        if is_stub:
            put_away(layout, f"{SERIES}.1")
        told = portal.get(f"/api/instances/{SERIES}.1/header").json()["elements"]
        by_tag = {one["tag"]: one for one in told}
        assert by_tag["(0010,0020)"]["value"] == "FR-2"
        assert by_tag["(0400,0561)"]["items"][0][0]["items"][0][0]["value"] == "Lefèvre^Hélène"
    (one,) = json.loads(portal.get(f"{INSTANCE}/metadata").getvalue())
    assert one["00100020"]["Value"] == ["FR-2"]


def sent(layout, taken: list[str]) -> Dataset:
    """Return the object as C-MOVE, C-GET and forwarding send it to whoever takes these syntaxes."""
    (item,) = Plan.of(instances(Level.STUDY, {"StudyInstanceUID": STUDY}), layout).items()
    syntax, data = encode(item, taken)
    content = data if isinstance(data, bytes) else b"".join(map(bytes, data))
    return part10.parse_data_set(content, syntax)


@pytest.mark.parametrize("whole_bytes", [outgoing.WHOLE_BYTES, 10])
def test_what_is_sent_by_c_store_is_corrected(take, move, layout, monkeypatch, whole_bytes):
    monkeypatch.setattr(outgoing, "WHOLE_BYTES", whole_bytes)
    take(ct(1))
    digests.compute(layout)
    move()
    for taken in (["1.2.840.10008.1.2.1"], ["1.2.840.10008.1.2"], ["1.2.840.10008.1.2.4.70"]):
        ds = sent(layout, taken)
        assert (ds.PatientID, old_of(ds).PatientID) == ("FR-2", "FR-1")
    assert sent(layout, ["1.2.840.10008.1.2.1"]).PixelData == ct(1).PixelData


def test_late_instances_join_by_either_identity_and_others_do_not(take, move, portal):
    take(ct(1))
    move()
    corrected_ones = {"PatientName": "Durand^Zoë", "PatientID": "FR-2"}
    assert take(ct(2)).outcome is Outcome.STORED
    assert take(ct(3, **corrected_ones)).outcome is Outcome.STORED
    assert take(ct(4, PatientID="FR-3")).outcome is Outcome.QUARANTINED
    assert take(ct(1)).outcome is Outcome.DUPLICATE
    assert found() == [("FR-2", "Durand^Zoë", "19800229")]
    told = json.loads(portal.get(f"{ADDRESS}/series/{SERIES}/metadata").getvalue())
    assert {one["00100020"]["Value"][0] for one in told} == {"FR-2"}
    assert {one["00100010"]["Value"][0]["Alphabetic"] for one in told} == {"Durand^Zoë"}


def test_undo_restores_all_and_a_second_one_stacks(take, move, undo, portal, layout):
    take(ct(1, PatientComments="allergic"))
    before, stored = (
        snapshot(),
        whole(portal.get(INSTANCE, headers={"Accept": "application/dicom"})),
    )
    first = move()
    second = move({"PatientName": "Durand^Zoé"}, "identity")
    ds = whole(portal.get(INSTANCE, headers={"Accept": "application/dicom"}))
    assert [i.ModifiedAttributesSequence[0].PatientName for i in ds.OriginalAttributesSequence] == [
        "Lefèvre^Hélène", "Durand^Zoë",
    ]  # fmt: skip
    require_problem(undo(first), 409)
    assert undo(second).json()["correction"]["state"] == "undone"
    assert found() == [("FR-2", "Durand^Zoë", "19800229")]
    assert undo(first).status_code == undo(first).status_code == 200
    after = snapshot()
    for rows_ in (before, after):
        for (kind, *_), row in rows_.items():
            row.pop("revision", None) if kind == "Study" else None
    assert after == before
    assert whole(portal.get(INSTANCE, headers={"Accept": "application/dicom"})) == stored


def test_what_bears_the_corrected_identity_keeps_it_from_being_undone(take, move, undo):
    take(ct(1))
    told = move()
    take(ct(2, PatientID="FR-2"))
    require_problem(undo(told), 409)
    back = move(
        {"PatientName": "Lefèvre^Hélène", "PatientID": "FR-1", "PatientBirthDate": "1950-04-17",
         "PatientSex": "F"}
    )  # fmt: skip
    assert back["patient_after"]["id"] == "FR-1"


def test_a_rebuilt_index_equals_the_one_before(take, move, undo, layout):
    take(ct(1, PatientBirthDate=None, PatientSex=""))
    move()
    take(ct(2, PatientComments="late"))
    take(ct(3, PatientID="FR-2", PatientName="Durand^Zoë"))
    undo(move({"AccessionNumber": "A200"}, "identity"))
    move({"StudyDescription": "TDM du crâne", "IssuerOfPatientID": "TOULON"}, "identity")
    take(ct(4, PatientID="FR-9"))
    digests.compute(layout)
    before = snapshot()
    history = [correct.account(one) for one in correct.of_study(STUDY)]
    rebuild.rebuild(layout)
    digests.compute(layout)
    assert snapshot() == before
    again = [correct.account(one) for one in correct.of_study(STUDY)]
    assert [one | {"undone_at": 0} for one in again] == [one | {"undone_at": 0} for one in history]
    assert Quarantined.objects.count() == 1


def test_a_correction_without_its_rows_is_finished_from_the_journal(
    take, move, layout, monkeypatch
):
    take(ct(1))
    monkeypatch.setattr(corrections, "settle", lambda *_: (_ for _ in ()).throw(Unavailable("no")))
    with pytest.raises(AssertionError):
        move()
    assert Correction.objects.get().state == "begun"
    assert found()[0][0] == "FR-1"
    assert [record["kind"] for record in Journal(layout.journal).read()] == [CORRECTED]
    monkeypatch.undo()
    correct.settle_interrupted(layout)
    assert found()[0][0] == "FR-2"


def test_one_that_never_reached_the_journal_is_dropped(take, move, layout, monkeypatch):
    take(ct(1))
    monkeypatch.setattr(Journal, "append", lambda *_: (_ for _ in ()).throw(Unavailable("full")))
    with pytest.raises(AssertionError):
        move()
    monkeypatch.undo()
    correct.settle_interrupted(layout)
    assert Correction.objects.get().state == "begun"
    monkeypatch.setattr(correct, "BEGUN_FOR", -correct.BEGUN_FOR)
    correct.settle_interrupted(layout)
    assert not Correction.objects.exists()
    assert found()[0][0] == "FR-1"


def test_asked_again_it_is_the_same_one(take, post, undo):
    take(ct(1))
    one, two = post(id="a" * 32), post(id="a" * 32)
    assert one.json()["correction"] == two.json()["correction"]
    assert Study.objects.get().revision == 2
    undo(one.json()["correction"])
    require_problem(post(id="a" * 32), 409)


def test_a_preview_shows_old_and_new_and_does_nothing(take, post, layout):
    take(ct(1))
    told = post(preview=True).json()["correction"]
    assert told["changes"][0] == {
        "keyword": "PatientName", "old": "Lefèvre^Hélène", "new": "Durand^Zoë",
    }  # fmt: skip
    assert not Correction.objects.exists()
    assert not list(Journal(layout.journal).read())


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"PatientName": "A\\B"}, "identity"),
        ({"PatientName": "A" * 65}, "identity"),
        ({"PatientBirthDate": "30/02/1980"}, "identity"),
        ({"PatientSex": "X"}, "identity"),
        ({"PatientID": "\ud800"}, "identity"),
        ({"StudyInstanceUID": "1.2"}, "identity"),
        ({}, "identity"),
        ({"PatientID": "FR-1"}, "identity"),
        ({"PatientID": "FR-2"}, "moved"),
        (OTHER | {"PatientID": "FR-1"}, "moved"),
        (OTHER | {"PatientID": ""}, "moved"),
        (OTHER, "stolen"),
    ],
)
def test_nonsense_is_told_and_nothing_changes(take, post, values, kind):
    take(ct(1))
    require_problem(post(values, kind), 400)
    require_problem(post(values, kind, preview=True), 400)
    require_problem(post(why=" "), 400)
    assert found()[0][0] == "FR-1"


def test_who_looked_at_an_older_state_is_told(take, post, move):
    take(ct(1))
    require_problem(post(latest="something"), 409)
    told = move(latest="")
    require_problem(post({"PatientName": "C"}, "identity", latest=""), 409)
    assert post({"PatientName": "C"}, "identity", latest=told["id"]).status_code == 200


def test_who_may_not_correct_changes_nothing(take, web, post):
    take(ct(1))
    body = {"study_uid": STUDY, "id": "a" * 32, "kind": "moved", "why": "x", "values": OTHER}
    for scope, bound in (("dicomweb", {}), ("corrections.read", {}),
                         ("corrections.write", {"study": "1.2.3"})):  # fmt: skip
        client = web(scope, **bound)
        answer = client.post("/api/corrections", body, content_type="application/json")
        require_problem(answer, 403)
    listed = web("corrections.read", study=STUDY).get(f"/api/corrections?study={STUDY}")
    assert listed.json()["corrections"] == []
    assert listed.json()["shown"]["PatientID"] == "FR-1"
    require_problem(
        web("corrections.read", study="1.2").get(f"/api/corrections?study={STUDY}"), 403
    )


def test_an_absent_study_is_not_found(post):
    require_problem(post(), 404)


def test_who_received_the_old_version_is_told_and_sent_it_again(take, move, web):
    take(ct(1))
    note("sent", operation="C-MOVE", destination="WS1", studies={STUDY: 1}, completed=1)
    note("sent", operation="C-STORE", destination="PACS2 at 10.0.0.1:104", studies={STUDY: 1})
    note("sent", operation="C-GET", destination="ELSE", studies={"1.2.3": 4})
    told = move()
    answer = web("corrections.read").get(f"/api/corrections/{told['id']}/received").json()
    assert [(one["destination"], one["operations"]) for one in answer["received"]] == [
        ("PACS2", ["C-STORE"]), ("WS1", ["C-MOVE"]),
    ]  # fmt: skip
    assert not answer["received"][0]["can_resend"]
    client = web("corrections.write")
    address = f"/api/corrections/{told['id']}/resend"
    body = {"destinations": ["NOBODY"]}
    require_problem(client.post(address, body, content_type="application/json"), 400)
    note("sent", operation="C-MOVE", destination="WS1", studies={STUDY: 1}, completed=1)
    again = web("corrections.read").get(f"/api/corrections/{told['id']}/received").json()
    assert again["received"][1]["sent_since_at"]
    assert not Forward.objects.exists()


def test_undoing_a_half_done_undo_goes_on(take, move, undo, layout, monkeypatch):
    take(ct(1))
    told = move()
    monkeypatch.setattr(corrections, "settle", lambda *_: (_ for _ in ()).throw(Conflict("no")))
    require_problem(undo(told), 409)
    monkeypatch.undo()
    assert Correction.objects.get().state == "undoing"
    correct.settle_interrupted(layout)
    assert Correction.objects.get().state == "undone"
    assert found()[0][0] == "FR-1"


def test_a_rejection_note_of_a_corrected_study_leaves_it_undoable(take, move, undo, web):
    take(ct(1))
    take(ct(2))
    told = move()
    answer = web("dicomweb.delete").delete(INSTANCE)
    assert answer.status_code == 200, answer.content
    note_uid = answer.json()["rejection"]["id"]
    web("dicomweb.delete").post(f"/api/rejections/{note_uid}/undo")
    header = web("dicomweb").get(f"/api/instances/{note_uid}/header").json()["elements"]
    assert "FR-2" in [one.get("value") for one in header]
    assert undo(told).status_code == 200


def test_what_is_stored_to_a_corrected_study_is_compared_with_the_bytes_that_came(
    take, move, portal
):
    take(ct(1))
    move()
    accept = {"Accept": "application/dicom"}
    shown = whole(portal.get(INSTANCE, headers=accept))
    del shown.file_meta
    assert take(shown).outcome is Outcome.QUARANTINED  # other content of the same UID (rule 5)
    assert take(ct(1)).outcome is Outcome.DUPLICATE


def test_a_document_is_corrected_around_its_content(take, move, portal):
    take(ct(1, EncapsulatedDocument=b"%PDF" * 40_000, NumberOfFrames=1))
    move()
    ds = whole(portal.get(INSTANCE, headers={"Accept": "application/dicom; transfer-syntax=*"}))
    assert (ds.PatientID, len(ds.EncapsulatedDocument)) == ("FR-2", 160_000)
