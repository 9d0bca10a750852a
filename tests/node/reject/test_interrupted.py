"""Rejections that a kill, a full disk or a torn record interrupts."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from dicom_node.custody import reject
from dicom_node.dicomweb import delete as delete_view
from dicom_node.index import rebuild, rejections
from dicom_node.index.journaled import of_study
from dicom_node.index.query import Level
from dicom_node.index.wanted import instances
from dicom_node.ingest import door
from dicom_node.models import RejectedItem, Rejection
from dicom_node.store import journal
from dicom_node.store.journal import REJECTED, Journal
from pacs_common.errors import Unavailable
from tests.node.objects import STUDY
from tests.node.reject.rejected import ADDRESS, everything, interrupted, note_of
from tests.node.web_answers import require_problem


def test_a_note_that_is_not_stored_hides_nothing(web, study, monkeypatch):
    class Broken:
        def take(self, arrival: object) -> None:
            raise Unavailable("no disk")

    monkeypatch.setattr(delete_view.door, "opened", Broken)
    require_problem(web("dicomweb.delete").delete(ADDRESS), 503)
    assert len(everything()[2]) == 5
    assert not Rejection.objects.exists() and not RejectedItem.objects.exists()


def test_a_rejection_that_a_kill_left_without_its_note_is_dropped(study, layout, take):
    old = timezone.now() - timedelta(minutes=9)
    rejections.begin(interrupted(study, old), study)
    reject.settle_interrupted(layout)
    assert len(everything()[2]) == 5
    assert not RejectedItem.objects.exists()


def test_a_rejection_that_a_kill_left_with_its_note_is_finished(study, layout, take):
    old = timezone.now() - timedelta(minutes=9)
    intent = interrupted(study, old)
    found_ = list(instances(Level.STUDY, {"StudyInstanceUID": STUDY}))
    rejections.begin(intent, study)
    take(note_of(intent.note_uid, found_))
    assert len(everything()[2]) == 5
    reject.settle_interrupted(layout)
    assert everything() == ([], [], [])
    assert [r["kind"] for r in of_study(Journal(layout.journal), STUDY)] == [REJECTED]


def test_a_deletion_that_was_given_up_as_interrupted_is_no_success(web, study, layout, monkeypatch):
    real = door.opened()

    class Slow:
        def take(self, arrival):
            Rejection.objects.update(at=timezone.now() - timedelta(minutes=9))
            reject.settle_interrupted(layout)
            return real.take(arrival)

    monkeypatch.setattr(delete_view.door, "opened", Slow)
    require_problem(web("dicomweb.delete").delete(ADDRESS), 409)
    assert set(study) < set(everything()[2])
    assert not Rejection.objects.exists()


def test_a_deletion_without_room_for_its_record_is_no_success_and_is_finished_later(
    web, study, layout, monkeypatch
):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "write_all", full)
    require_problem(web("dicomweb.delete").delete(ADDRESS), 507)
    assert len(everything()[2]) == 5
    reject.settle_interrupted(layout)
    monkeypatch.undo()
    require_problem(web("dicomweb.delete").delete(ADDRESS), 409)  # it is under way
    Rejection.objects.update(at=timezone.now() - timedelta(minutes=9))
    reject.settle_interrupted(layout)
    assert everything() == ([], [], [])
    assert [r["kind"] for r in of_study(Journal(layout.journal), STUDY)] == [REJECTED]


def test_a_torn_record_of_an_undo_undoes_nothing(web, delete, study, layout):
    told = delete()
    web("dicomweb.delete").post(f"/api/rejections/{told['id']}/undo")
    (file,) = layout.journal.glob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-5])
    rebuild.rebuild(layout)
    assert everything() == ([], [], [])
    again = web("dicomweb.delete").post(f"/api/rejections/{told['id']}/undo")
    assert again.status_code == 200
    rebuild.rebuild(layout)
    assert set(everything()[2]) == {*study, told["id"]}
