"""A node that lost its disk is filled from the archive: the same index, the same bytes."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pydicom.data import get_testdata_file

from dicom_node.chores import digests
from dicom_node.config import CONFIG
from dicom_node.custody import correct, given, quarantine, restore
from dicom_node.custody.correct_values import Asked
from dicom_node.custody.hold import hold
from dicom_node.forwarding import routing
from dicom_node.index import journaled, rebuild, rejections
from dicom_node.index.holds import Hold
from dicom_node.models import Instance, Quarantined, Rejection, Study
from dicom_node.store import blobs
from dicom_node.store.journal import EVICTED, REJECTED, UNDONE, Journal
from dicom_node.store.layout import STUB, THUMBNAIL
from tests.node.custody.plans import path_of, plan_for, put
from tests.node.custody.restored import COPIES, Lost, digest, give, give_all, give_journal, lose_all
from tests.node.objects import SERIES, STUDY, ct
from tests.node.test_rebuild import snapshot

pytestmark = pytest.mark.slow

LEGAL = Hold("legal", "expertise", "archivist")
ONE = (STUDY, f"{SERIES}.1")


def all_digests(layout):
    while digests.compute(layout):
        pass


def reject(layout, *uids):
    intent = rejections.Intent(f"{STUDY}.7", STUDY, "113001", "", "x", "node", timezone.now())
    told = {"study_uid": STUDY, "note_uid": intent.note_uid}
    more = {"code": "113001", "comment": "", "by": "x", "source": "node"}
    more |= {"rejected_at": intent.at.isoformat(), "sop_instance_uids": [*uids, intent.note_uid]}
    Journal(layout.journal).append(REJECTED, [told | more])
    with rejections.held(rejections.begin(intent, uids)) as rejection:
        rejections.hide(rejection)


def undo_rejection(layout):
    told = {"study_uid": STUDY, "note_uid": f"{STUDY}.7", "by": "x"}
    Journal(layout.journal).append(UNDONE, [told])
    with rejections.held(Rejection.objects.get()) as now:
        rejections.show(now)


@pytest.fixture(autouse=True)
def long_ago():
    """Let what arrived just now be older than what is under way, as it is in an archive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dicom_node.index.archived.UNDER_WAY", timedelta(0))
        yield


@pytest.fixture
def history(take, layout):
    """A study of three objects with a correction, a rejection and a hold."""
    for number in (1, 2, 3):
        take(ct(number), source_ae="CT1")
    all_digests(layout)
    asked = Asked("12345678", "identity", "typed wrongly", {"PatientName": "Durand^Paul"})
    correct.correct(layout, STUDY, asked, None, "tester")
    reject(layout, f"{SERIES}.2")
    hold(layout, STUDY, [LEGAL], "archivist")


@pytest.fixture
def lost(history, layout):
    """What the archive has of a node whose disk is empty now."""
    found = Lost.of(layout)
    lose_all(layout)
    return found


@pytest.fixture
def lost_with_real_files(history, real, layout):
    """The same of a node that also had files of real modalities."""
    for name in ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "reportsi.dcm"):
        real(name)
    all_digests(layout)
    found = Lost.of(layout)
    lose_all(layout)
    return found


def test_an_empty_node_gets_the_same_index_and_the_same_bytes(
    lost_with_real_files, archive, layout
):
    lost = lost_with_real_files
    give_all(archive, lost)
    assert snapshot() == lost.index
    assert Lost.of(layout).files == lost.files
    study = Study.objects.get(uid=STUDY)
    assert (study.patient_name, study.rejected_count, bool(study.holds)) == ("Durand^Paul", 1, True)


def test_what_was_restored_survives_a_reindex(lost_with_real_files, archive, layout):
    lost = lost_with_real_files
    give_all(archive, lost)
    rebuild.rebuild(layout)
    all_digests(layout)
    Study.objects.update(prepared_revision=1)
    Instance.every.update(routed=True)
    now = snapshot()
    for key, row in lost.index.items():
        assert now[key] == row | ({"prepared_revision": 1} if key[0] == "Study" else {}), key


def test_giving_everything_again_changes_nothing(lost, archive, layout):
    give_all(archive, lost)
    before, lines = snapshot(), list(Journal(layout.journal).read())
    give_all(archive, lost)
    assert snapshot() == before
    assert list(Journal(layout.journal).read()) == lines


def test_records_that_come_after_the_files_are_shown_too(lost, archive, layout):
    give_all(archive, lost, journal_first=False)
    study, former = Study.objects.get(uid=STUDY), lost.index["Study", STUDY, ""]
    shown = ("patient_name", "rejected_count", "instance_count", "holds", "overlay")
    assert {name: getattr(study, name) for name in shown} == {name: former[name] for name in shown}
    assert study.revision > lost.revisions[STUDY]


def test_it_is_no_arrival(lost, archive, layout):
    give_all(archive, lost)
    assert not routing.waits()
    assert all(row.prepared_revision == row.revision for row in Study.objects.all())
    assert {row.uid: row.revision for row in Study.objects.all()} == lost.revisions
    lines = [
        json.loads(line) for f in layout.audit.glob("*") for line in f.read_text().splitlines()
    ]
    assert sum(line["kind"] == "restored" for line in lines) == len(lost.records)


def test_a_file_lies_in_the_hour_of_its_first_arrival(take, layout, archive, monkeypatch):
    take(ct(1))
    all_digests(layout)
    row, content = Instance.objects.get(), path_of(layout, f"{SERIES}.1").read_bytes()
    told = row.arrived_at.isoformat().encode()
    older = content.replace(told, b"2019-03-04T05:06:07.000008+00:00"[: len(told)])
    lose_all(layout)
    assert give(archive, ONE, older).status_code == 201
    assert Instance.objects.get().hour == "2019/03/04/05"
    assert path_of(layout, f"{SERIES}.1").read_bytes() == older


@pytest.mark.parametrize("kept", [0, -1, 5000])
def test_bytes_of_another_digest_get_no_name_and_no_row(lost, archive, layout, kept):
    content = lost.files[ONE]
    wrong = bytearray(content)
    wrong[kept if abs(kept) < len(wrong) else 0] ^= 1
    answer = give(
        archive,
        ONE,
        bytes(wrong),
        sha256=lost.index["Instance", ONE[1], _received(lost)]["stored_sha256"],
    )
    assert answer.status_code in (400, 409)
    assert not [path for path in layout.objects.rglob("*") if path.is_file()]
    assert not Study.objects.exists()


def _received(lost):
    return next(key[2] for key in lost.index if key[:2] == ("Instance", ONE[1]))


def test_a_file_of_another_object_is_refused(lost_with_real_files, archive, layout):
    lost = lost_with_real_files
    other = next(key for key in lost.files if key[0] != STUDY)
    assert give(archive, ONE, lost.files[other]).status_code == 400
    assert give(archive, (STUDY, other[1]), lost.files[other]).status_code == 400
    assert not [path for path in layout.objects.rglob("*") if path.is_file()]


def test_a_file_that_no_node_has_stored_is_refused(archive, layout, transactional_db):
    content = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    assert b"arrived_at" not in content
    assert give(archive, ONE, content).status_code == 400


def test_a_full_node_keeps_its_reserve(lost, archive, monkeypatch):
    def full(folder, size_bytes, reserve_bytes):
        assert reserve_bytes == CONFIG.reserve_bytes
        raise blobs.DiskFull("full")

    monkeypatch.setattr(blobs, "require_space", full)
    assert give(archive, ONE, lost.files[ONE]).status_code == 507


def test_an_object_that_arrived_here_anew_is_the_same_where_its_content_is(lost, archive, take):
    take(ct(1), source_ae="CT1")
    before = snapshot()
    answer = give(archive, ONE, lost.files[ONE])
    assert (answer.status_code, answer.json()) == (200, {"restored": False})
    assert snapshot() == before


def test_other_content_that_arrived_here_is_not_overwritten(lost, archive, take, layout):
    take(ct(1, PixelData=bytes(512)))
    before, content = snapshot(), path_of(layout, ONE[1]).read_bytes()
    assert give(archive, ONE, lost.files[ONE]).status_code == 409
    assert snapshot() == before
    assert path_of(layout, ONE[1]).read_bytes() == content


def test_a_study_that_arrived_here_of_another_patient_takes_nothing(lost, archive, take, layout):
    take(ct(9, PatientID="FR-9"))
    assert give(archive, ONE, lost.files[ONE]).status_code == 409
    assert Instance.objects.count() == 1
    assert len(list(layout.objects.rglob("*.dcm"))) == 1


def test_an_object_that_is_known_in_another_study_is_refused(lost, archive, take):
    take(ct(1, study="1.2.9"))
    assert give(archive, ONE, lost.files[ONE]).status_code == 409


def test_a_late_instance_makes_a_revision_that_was_not_proven(lost, archive, take, layout):
    give_journal(archive, STUDY, lost.records[STUDY], lost.revisions[STUDY])
    take(ct(9))
    for key in (key for key in lost.files if key[0] == STUDY):
        assert give(archive, key, lost.files[key]).status_code == 201
    give_journal(archive, STUDY, lost.records[STUDY], lost.revisions[STUDY])
    assert Study.objects.get(uid=STUDY).revision > lost.revisions[STUDY]
    assert Study.objects.get(uid=STUDY).instance_count == 3


def test_what_is_evicted_or_damaged_here_is_put_back_as_by_a_recall(study, evict, archive, layout):
    content = path_of(layout, ONE[1]).read_bytes()
    evict(plan_for(study))
    assert give(archive, ONE, content).json() == {"restored": True}
    study.refresh_from_db()
    assert (study.recalls, study.evicted_count) == (1, 2)
    assert give(archive, ONE, content).json() == {"restored": False}
    path_of(layout, ONE[1]).write_bytes(content[:-1] + b"x")
    Instance.objects.filter(uid=ONE[1]).update(damaged=True)
    assert give(archive, ONE, content).json() == {"restored": True}
    assert path_of(layout, ONE[1]).read_bytes() == content


# What was evicted may stay evicted: its stub is enough to be found by.


def test_a_stub_alone_is_kept_where_the_archive_names_its_copies(study, archive, layout, evict):
    lost = Lost.of(layout)
    evict(plan_for(study))
    before = remembered()
    lose_all(layout)
    give_journal(archive, STUDY, lost.records[STUDY], lost.revisions[STUDY])
    for key, content in lost.files.items():
        assert give(archive, key, content, copies=COPIES).status_code == 201
    assert remembered() == before
    assert not list(layout.objects.rglob("*.dcm")) and not list(layout.objects.rglob("*.part"))
    assert path_of(layout, ONE[1], STUB).exists() and path_of(layout, ONE[1], THUMBNAIL).exists()
    assert give(archive, ONE, lost.files[ONE], copies=COPIES).json() == {"restored": False}
    rebuild.rebuild(layout)
    assert Study.objects.get().evicted_count == 3
    assert put(archive, ONE[1], lost.files[ONE]).status_code == 201
    records = journaled.of_study(Journal(layout.journal), STUDY)
    assert [one["copies"] for one in records if one["kind"] == EVICTED] == [COPIES] * 3


@pytest.mark.parametrize("copies", [[], [{}], [{"vault": "v"}], ["x"], "x", 7])
def test_a_stub_without_a_verified_copy_is_refused(lost, archive, layout, copies):
    assert give(archive, ONE, lost.files[ONE], copies=copies).status_code == 400
    assert not Study.objects.exists()


# What a kill interrupts is given again and goes on.

STEPS = {
    "sync": (blobs.Partial, "sync"),
    "name": (blobs.Partial, "name"),
    "folder": (blobs, "sync_folder"),
    "rows": (restore.rows, "add"),
    "study": (restore, "_begin_study"),
    "entry": (given, "entry_of_file"),
}
STUB_STEPS = STEPS | {
    "stub": (restore, "write_stub"),
    "journal": (Journal, "append"),
    "evicted": (restore, "mark_evicted"),
    "header": (restore, "entry_of_stub"),
}
KILLS = [
    *((step, when, None) for step in STEPS for when in ("before", "after")),
    *((step, when, COPIES) for step in STUB_STEPS for when in ("before", "after")),
]


def remembered():
    """Return every row without what a rebuild may forget."""
    rows = snapshot()
    for row in rows.values():
        row.pop("routed", None), row.pop("prepared_revision", None)
    return rows


def killed_at(monkeypatch, place, name, when):
    """Let the process die before or after a call; nothing cleans up behind it."""
    real = getattr(place, name)

    def dies(*given, **more):
        if when == "after":
            real(*given, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(place, name, dies)
    monkeypatch.setattr(blobs.Partial, "remove", lambda self: None)


@pytest.mark.parametrize(("step", "when", "copies"), KILLS)
def test_a_kill_at_any_step_loses_nothing_and_the_same_again_goes_on(
    lost, archive, layout, monkeypatch, step, when, copies
):
    give_journal(archive, STUDY, lost.records[STUDY], lost.revisions[STUDY])
    killed_at(monkeypatch, *STUB_STEPS[step], when)
    try:
        give(archive, ONE, lost.files[ONE], copies=copies)
    except KeyboardInterrupt:
        pass
    monkeypatch.undo()
    assert give(archive, ONE, lost.files[ONE], copies=copies).status_code in (200, 201)
    row = Instance.objects.get()
    assert row.availability == ("ONLINE" if copies is None else "NEARLINE")
    assert path_of(layout, ONE[1]).exists() == (copies is None)
    assert path_of(layout, ONE[1], STUB).exists() == (copies is not None)
    before = remembered()
    rebuild.rebuild(layout)
    all_digests(layout)
    assert remembered() == before


def test_a_whole_file_after_a_killed_stub_and_a_stub_after_a_killed_file(
    lost, archive, layout, monkeypatch
):
    for first, second in ((COPIES, None), (None, COPIES)):
        lose_all(layout)
        killed_at(monkeypatch, restore.rows, "add", "before")
        with pytest.raises(KeyboardInterrupt):
            give(archive, ONE, lost.files[ONE], copies=first)
        monkeypatch.undo()
        assert give(archive, ONE, lost.files[ONE], copies=second).status_code == 201
        assert path_of(layout, ONE[1]).exists() == (second is None)
        assert path_of(layout, ONE[1], STUB).exists() == (second is not None)
        rebuild.rebuild(layout)
        assert Instance.objects.get().availability == ("ONLINE" if second is None else "NEARLINE")


def test_pixels_that_resist_are_left_to_the_chores(lost, archive, layout, monkeypatch):
    monkeypatch.setattr(restore, "pixel_sha256", lambda ds: 1 / 0)
    assert give(archive, ONE, lost.files[ONE]).status_code == 201
    assert Instance.every.get().stored_sha256 == ""
    all_digests(layout)
    assert Instance.every.get().stored_sha256 == digest(lost.files[ONE])


# The journal's own door.


def test_records_of_one_member_after_another_end_as_the_newest_tell(
    take, archive, layout, monkeypatch
):
    take(ct(1))
    take(ct(2))
    all_digests(layout)
    members = []
    asked = Asked("12345678", "identity", "typed wrongly", {"PatientName": "Durand^Paul"})
    done = correct.correct(layout, STUDY, asked, None, "tester")
    reject(layout, f"{SERIES}.2")
    members.append(Lost.of(layout))
    correct.undo(layout, done, "tester")
    undo_rejection(layout)
    hold(layout, STUDY, [LEGAL], "archivist")
    members.append(Lost.of(layout))
    lose_all(layout)
    for member in members:
        give_journal(archive, STUDY, member.records[STUDY], member.revisions[STUDY])
        for key, content in sorted(member.files.items()):
            give(archive, key, content)
    study = Study.objects.get()
    assert (study.patient_name, study.rejected_count) == ("Lefèvre^Hélène", 0)
    assert (study.revision, bool(study.holds)) == (members[1].revisions[STUDY], True)
    before = snapshot()
    give_journal(archive, STUDY, members[0].records[STUDY], members[0].revisions[STUDY])
    assert snapshot() == before


def test_records_are_appended_once_and_as_they_were(lost, archive, layout):
    records = lost.records[STUDY]
    assert len(records) == 3
    answer = give_journal(archive, STUDY, records[:2]).json()
    assert answer == {"study_uid": STUDY, "added": 2, "revision": None}
    assert give_journal(archive, STUDY, records).json()["added"] == 1
    assert give_journal(archive, STUDY, records).json()["added"] == 0
    assert journaled.of_study(Journal(layout.journal), STUDY) == records


def test_restored_records_come_before_what_this_node_told_itself(lost, archive, take, layout):
    give(archive, ONE, lost.files[ONE])
    hold(layout, STUDY, [LEGAL._replace(kind="teaching")], "archivist")
    give_journal(archive, STUDY, lost.records[STUDY])
    assert '"teaching"' in Study.objects.get().holds
    rebuild.rebuild(layout)
    assert '"teaching"' in Study.objects.get().holds


def test_decisions_about_quarantine_are_records_too(take, archive, layout):
    take(ct(1))
    take(ct(1, PixelData=bytes(512)))
    quarantine.keep(layout, Quarantined.objects.get(), "tester", "the first is right")
    lost = Lost.of(layout)
    lose_all(layout)
    assert give_journal(archive, STUDY, lost.records[STUDY]).json()["added"] == 1
    rebuild.rebuild(layout)


EVERY_FIELD = [
    {"kind": "evicted"},
    {"kind": "offered", "revision": 7},
    {"kind": "unheard-of"},
    {"kind": 7},
    {"kind": "recalled", "sop_instance_uid": 7},
    {"kind": "recalled", "sop_instance_uid": "1.2", "at": "yesterday"},
    {"kind": "recalled", "sop_instance_uid": "1.2", "at": "2026-11-28T10:00:00"},
    {"kind": "recalled", "sop_instance_uid": "1.2", "study_uid": "1.2.3"},
    {"kind": "held", "by": "x", "holds": [{"kind": "legal"}]},
    {"kind": "held", "by": "x", "holds": ["legal"]},
    {"kind": "availability", "availability": "OFFLINE", "sop_instance_uids": [7]},
]


@pytest.mark.parametrize("record", EVERY_FIELD)
def test_a_record_that_a_reindex_could_not_read_is_refused(
    archive, layout, transactional_db, record
):
    told = {"at": "2026-11-28T10:00:00+00:00", "study_uid": STUDY} | record
    assert give_journal(archive, STUDY, [told]).status_code == 400
    assert not list(layout.journal.glob("*"))


@pytest.mark.parametrize("records", [None, {}, "x", [7], [None]])
def test_records_that_are_none_are_refused(archive, layout, transactional_db, records):
    assert give_journal(archive, STUDY, records).status_code == 400


@pytest.mark.parametrize("revision", [-1, 1 << 31, "7", None, True])
def test_a_revision_that_is_none_is_refused(archive, layout, transactional_db, revision):
    assert give_journal(archive, STUDY, [], revision).status_code == 400


@pytest.mark.parametrize("missing", ["X-Stored-SHA256"])
def test_a_file_without_its_digest_is_refused(lost, archive, missing):
    client = archive("custody.restore", study=STUDY)
    address = f"/api/custody/restore/{STUDY}/{ONE[1]}"
    answer = client.put(address, lost.files[ONE], content_type="application/dicom")
    assert answer.status_code == 400
