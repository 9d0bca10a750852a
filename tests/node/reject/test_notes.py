"""Rejection notes: what they name, whose they are, and what they hide."""

from __future__ import annotations

from django.test import Client
from pydicom.dataset import Dataset

from dicom_node.custody import reject, reject_note
from dicom_node.index import rebuild
from dicom_node.index.query import Level
from dicom_node.index.wanted import instances
from dicom_node.ingest import door
from dicom_node.models import Instance
from dicom_node.store import part10
from tests.node.objects import SERIES, STUDY, ct
from tests.node.reject.rejected import OTHER, everything, note_of
from tests.node.stow_bodies import as_file, body, poster

NOTE_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"


def test_the_note_is_a_key_object_that_names_every_instance(delete, study, layout):
    told = delete(reason="113037", comment="wrong side")
    row = Instance.every.get(uid=told["id"])
    assert row.rejected and row.series.study.uid == STUDY
    ds = part10.read_object(layout.object(row.hour, row.uid))
    note = reject_note.read(ds)
    assert (note.code, note.comment, note.study_uid) == ("113037", "wrong side", STUDY)
    assert sorted(note.uids) == sorted(study)
    assert ds.ConceptNameCodeSequence[0].CodeMeaning == "Rejected for Patient Safety Reasons"
    assert part10.provenance(ds.file_meta, row.arrived_at).stored_by == "tester"


def test_a_peers_note_is_kept_and_applied_once_for_who_may(web, study, layout, take):
    found_ = list(instances(Level.SERIES, {"SeriesInstanceUID": SERIES}))
    uid = f"{STUDY}.88"
    take(note_of(uid, found_))
    assert len(everything()[2]) == 6
    for _ in range(2):
        rejection = reject.apply_note(layout, uid, "CT1", "CT1")
        assert everything() == ([STUDY], [OTHER], sorted(study[3:]))
    assert (rejection.source, rejection.code) == ("CT1", "113038")
    web("dicomweb.delete").post(f"/api/rejections/{uid}/undo")
    reject.apply_note(layout, uid, "CT1", "CT1")
    assert len(everything()[2]) == 6


def test_what_a_peers_note_names_and_comes_later_is_hidden_as_it_arrives(study, layout, take):
    found_ = list(instances(Level.SERIES, {"SeriesInstanceUID": SERIES}))
    found_[0].uid = late = str(ct(8).SOPInstanceUID)
    take(note_of(f"{STUDY}.88", found_))
    reject.apply_note(layout, f"{STUDY}.88", "CT1", "CT1")
    assert take(ct(8)).outcome == "stored"
    assert late not in everything()[2]
    assert Instance.every.get(uid=late).rejected


def test_a_key_object_of_another_title_rejects_nothing(study, layout, take):
    found_ = list(instances(Level.SERIES, {"SeriesInstanceUID": SERIES}))
    ds = note_of(f"{STUDY}.88", found_)
    ds.ConceptNameCodeSequence[0].CodeValue = "113000"
    take(ds)
    assert reject.apply_note(layout, f"{STUDY}.88", "CT1", "CT1") is None
    assert len(everything()[2]) == 6


def evidence(study_uid: str, *uids: str) -> Dataset:
    evidence, series = Dataset(), Dataset()
    series.ReferencedSOPSequence = [Dataset() for _ in uids]
    for item, uid in zip(series.ReferencedSOPSequence, uids, strict=True):
        item.ReferencedSOPInstanceUID = uid
    evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = study_uid, [series]
    return evidence


def test_a_note_hides_nothing_of_another_study(delete, study, layout, take):
    """A person or peer who may reject in one study may not hide another by naming it."""
    other = ct(1, study="1.2.9", series="1.2.9.1")
    take(other)
    late = ct(2, study="1.2.9", series="1.2.9.1")
    found_ = list(instances(Level.STUDY, {"StudyInstanceUID": "1.2.9"}))
    note = note_of(f"{STUDY}.88", found_)
    note.StudyInstanceUID = STUDY
    honest = note.CurrentRequestedProcedureEvidenceSequence[0]
    named = [str(other.SOPInstanceUID), str(late.SOPInstanceUID), study[0]]
    lie = evidence(STUDY, *named)
    note.CurrentRequestedProcedureEvidenceSequence = [honest, lie]
    take(note)
    reject.apply_note(layout, f"{STUDY}.88", "CT1", "CT1")
    take(late)
    shown = everything()[2]
    assert set(named[:2]) <= set(shown) and study[0] not in shown
    rebuild.rebuild(layout)
    assert everything()[2] == shown
    assert delete("/dicom-web/studies/1.2.9")["instances"] == 2
    assert not set(named) & set(everything()[2])


def test_by_stow_a_note_hides_for_who_may_delete_unless_it_is_quarantined(
    study, layout, take, ticket
):
    whole = list(instances(Level.STUDY, {"StudyInstanceUID": STUDY}))
    sent = note_of(f"{STUDY}.88", whole[3:])
    take(note_of(f"{STUDY}.88", whole))  # of a peer that may not: it hides nothing

    def post(ds: Dataset, *scopes: str) -> int:
        authorization = {"Authorization": f"Bearer {ticket(*scopes)}"}
        return poster(Client(headers=authorization))(body([as_file(ds)])).status_code

    assert post(sent, "dicomweb.store") == 202
    assert post(sent, "dicomweb.store", "dicomweb.delete") == 202
    assert len(everything()[2]) == 6  # nor does it when another note under its UID comes
    again = note_of(f"{STUDY}.89", whole[3:])
    assert post(again, "dicomweb.store") == 200
    assert len(everything()[2]) == 7
    assert post(again, "dicomweb.store", "dicomweb.delete") == 200
    assert set(everything()[2]) == {*study[:3], f"{STUDY}.88"}
    door.close()
