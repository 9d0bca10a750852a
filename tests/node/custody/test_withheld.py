"""A study of which nothing is stored is told of, archived and restored all the same (rule 5)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from dicom_node.chores import digests
from dicom_node.custody import facts, quarantine
from dicom_node.index import rebuild
from dicom_node.index.entry import Entry
from dicom_node.ingest.ingest import Outcome
from dicom_node.models import Instance, Quarantined, Study, WithheldStudy
from tests.node.custody.restored import Lost, digest, give, give_journal, lose_all
from tests.node.objects import SERIES, STUDY, ct

ONE = f"{SERIES}.1"
ALONE = f"{STUDY}.99"
WHY = {"reason": "same-uid", "detail": "stored abc, came def"}


def of_another_study(**changes):
    """Return an object of a stored UID that says it belongs to a study that is not here."""
    about = {"SOPInstanceUID": ONE, "PatientID": "FR-9", **changes}
    return ct(1, study=ALONE, series=f"{ALONE}.1", **about)


@pytest.fixture
def alone(study, take):
    """The row of an object in quarantine whose study has nothing else here."""
    assert take(of_another_study(StudyDescription="Crâne")).outcome is Outcome.QUARANTINED
    return Quarantined.objects.get()


def manifest(archive, uid=ALONE):
    return archive("custody.read", study=uid).get(f"/api/custody/studies/{uid}").json()


def test_the_archive_is_told_of_it(alone, archive):
    page = archive("custody.read").get("/api/custody/studies").json()
    told = {facts["study_uid"]: facts for facts in page["studies"]}
    assert list(told) == sorted([STUDY, ALONE])
    one = told[ALONE]
    assert (one["instances"], one["online"], one["revision"]) == (0, 0, 1)
    assert (one["quarantined"], one["quarantine_files"]) == (1, 1)
    assert (one["patient_key"]["id"], one["description"]) == ("FR-9", "Crâne")
    assert one["modalities"] == ["CT"] and one["digests_ready"]
    assert set(told[STUDY]) == set(one)


def test_its_manifest_names_the_file(alone, archive):
    told = manifest(archive)
    assert told["instances"] == []
    (one,) = told["quarantine"]
    assert (one["uid"], one["received_sha256"]) == (ONE, alone.received_sha256)


def test_it_changes_with_each_object_and_each_decision(alone, take, layout):
    since = (timezone.now() - timedelta(minutes=5)).isoformat()
    take(of_another_study(WindowCenter="80"))
    assert WithheldStudy.objects.get().revision == 2
    quarantine.keep(layout, alone, "tester", "")
    assert WithheldStudy.objects.get().revision == 3
    assert ALONE in [one["study_uid"] for one in facts.page("", 10, since)["studies"]]


@pytest.mark.parametrize("since", ["", "2026-01-01T00:00+00:00"])
def test_pages_name_both_kinds_once(alone, take, since):
    for number in range(3, 7):
        take(ct(number, study=f"{STUDY}.{number}", series=f"{STUDY}.{number}.1"))
    seen, after = [], ""
    while after is not None:
        page = facts.page(after, 2, since)
        seen += [one["study_uid"] for one in page["studies"]]
        after = page["next"]
    every = [*Study.objects.values_list("uid", flat=True), ALONE]
    assert sorted(seen) == sorted(every)


def test_its_revision_goes_on_once_something_of_it_is_stored(alone, take):
    take(ct(7, study=ALONE, series=f"{ALONE}.1", PatientID="FR-9"))
    assert not WithheldStudy.objects.exists()
    assert Study.objects.get(uid=ALONE).revision == 2


def test_a_study_that_loses_its_last_instance_to_a_decision_is_told_of(take, layout, archive):
    take(ct(1))
    digests.compute(layout)
    take(of_another_study())
    before = Study.objects.get(uid=STUDY).revision
    quarantine.take(layout, Quarantined.objects.get(), "tester", "")
    assert set(Study.objects.values_list("uid", flat=True)) == {ALONE}
    assert Study.objects.get(uid=ALONE).revision > 1
    left = WithheldStudy.objects.get()
    assert (left.uid, left.patient_id) == (STUDY, "FR-1") and left.revision > before
    (one,) = manifest(archive, STUDY)["quarantine"]
    assert one["decision"] == "replaced"


def test_a_rebuilt_index_tells_of_it(alone, layout, archive):
    told = manifest(archive)
    rebuild.rebuild(layout)
    again = manifest(archive)
    assert again["revision"] >= told["revision"]
    assert again["quarantine"] == told["quarantine"]
    assert again["patient_key"] == told["patient_key"]


def give_back(archive, study_uid, sop_uid, content, why=None, sha256=None):
    headers = {"X-Stored-SHA256": sha256 or digest(content)}
    headers["X-Quarantined-For"] = json.dumps(WHY) if why is None else why
    return archive("custody.restore", study=study_uid).put(
        f"/api/custody/restore/{study_uid}/quarantine/{sop_uid}",
        content,
        content_type="application/dicom",
        headers=headers,
    )


@pytest.fixture
def gone(alone, take, layout, archive):
    """What the archive holds of a node whose disk is lost, with two in quarantine."""
    take(ct(2, WindowCenter="80"))
    kept = Quarantined.objects.get(uid=f"{SERIES}.2")
    quarantine.keep(layout, kept, "tester", "the first one is right")
    files = {
        (row.study_uid, row.uid): layout.quarantined(
            row.hour, row.uid, row.received_sha256
        ).read_bytes()
        for row in Quarantined.objects.all()
    }
    lost = Lost.of(layout)
    told = {uid: manifest(archive, uid) for uid in (STUDY, ALONE)}
    lost.records[ALONE], lost.revisions[ALONE] = told[ALONE]["journal"], told[ALONE]["revision"]
    lose_all(layout)
    WithheldStudy.objects.all().delete()
    return lost, files, told


def restore_all(archive, lost, files):
    for uid, records in lost.records.items():
        assert give_journal(archive, uid, records, lost.revisions[uid]).status_code == 200
    for (uid, sop_uid), content in files.items():
        answer = give_back(archive, uid, sop_uid, content)
        assert (answer.status_code, answer.json()) == (201, {"restored": True})
    for key, content in lost.files.items():
        assert give(archive, key, content).status_code == 201


def test_a_restored_quarantine_is_as_it_was_with_its_decisions(gone, archive, layout):
    lost, files, told = gone
    restore_all(archive, lost, files)
    for uid in (STUDY, ALONE):
        again = manifest(archive, uid)
        for mine in (again, told[uid]):
            for one in mine["quarantine"]:
                one.pop("detail")
        assert again["quarantine"] == told[uid]["quarantine"]
        assert again["revision"] == told[uid]["revision"]
    row = Quarantined.objects.get(uid=f"{SERIES}.2")
    assert (row.decision, row.comment) == ("kept", "the first one is right")
    assert row.detail == WHY["detail"]
    assert Instance.objects.count() == 3
    rebuild.rebuild(layout)
    assert Quarantined.objects.get(uid=f"{SERIES}.2").decision == "kept"


def test_a_decision_that_is_told_later_is_shown_too(gone, archive):
    lost, files, _ = gone
    key = (STUDY, f"{SERIES}.2")
    give_back(archive, *key, files[key])
    assert Quarantined.objects.get().decision == ""
    give_journal(archive, STUDY, lost.records[STUDY], lost.revisions[STUDY])
    assert Quarantined.objects.get().decision == "kept"


def test_the_same_again_changes_nothing(gone, archive):
    lost, files, _ = gone
    restore_all(archive, lost, files)
    before = WithheldStudy.objects.get().revision
    for (uid, sop_uid), content in files.items():
        assert give_back(archive, uid, sop_uid, content).json() == {"restored": False}
    assert Quarantined.objects.count() == 2
    assert WithheldStudy.objects.get().revision == before


def test_a_kill_between_file_and_row_is_made_good_by_the_next(gone, archive, layout, monkeypatch):
    _, files, _ = gone
    key = (ALONE, ONE)
    with monkeypatch.context() as patch:
        patch.setattr(Entry, "uid", property(lambda self: (_ for _ in ()).throw(KeyboardInterrupt)))
        with pytest.raises(KeyboardInterrupt):
            give_back(archive, *key, files[key])
    assert give_back(archive, *key, files[key]).status_code in (200, 201)
    assert Quarantined.objects.get().study_uid == ALONE


def test_other_bytes_than_the_digest_are_refused(gone, archive, layout):
    _, files, _ = gone
    key = (ALONE, ONE)
    answer = give_back(archive, *key, files[key][:-1] + b"x", sha256=digest(files[key]))
    assert answer.status_code == 409
    assert not Quarantined.objects.exists()
    assert not [path for path in layout.quarantine.rglob("*") if path.is_file()]


def test_what_is_stored_here_does_not_lie_in_quarantine_too(gone, archive, take):
    _, files, _ = gone
    take(of_another_study(StudyDescription="Crâne"))
    answer = give_back(archive, ALONE, ONE, files[ALONE, ONE])
    assert answer.status_code == 409 and "is stored here" in answer.json()["detail"]


@pytest.mark.parametrize("why", ["", "{}", "[]", '{"reason": "whim"}', '{"reason": 1}'])
def test_without_a_reason_it_is_refused(gone, archive, why):
    _, files, _ = gone
    assert give_back(archive, ALONE, ONE, files[ALONE, ONE], why=why).status_code == 400


def test_an_object_under_another_name_is_refused(gone, archive):
    _, files, _ = gone
    assert give_back(archive, STUDY, ONE, files[ALONE, ONE]).status_code == 400
    assert give_journal(archive, ALONE, []).status_code == 200
