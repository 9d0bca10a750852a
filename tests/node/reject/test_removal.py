"""Removal of what is rejected: its time, its proof, and what stays."""

from __future__ import annotations

import pytest

from dicom_node.chores import digests
from dicom_node.commitment.receipts import proven
from dicom_node.custody import reject, reject_removal
from dicom_node.index.journaled import of_study
from dicom_node.models import Instance, Rejection, Study
from dicom_node.store.journal import REMOVED, Journal
from pacs_common.errors import Conflict
from tests.node.objects import STUDY, ct
from tests.node.reject.rejected import everything, make_due, prove
from tests.node.web_answers import require_problem


def test_nothing_is_removed_before_its_time(web, delete, study):
    told = delete()
    approve = web("rejections.approve")
    require_problem(approve.post(f"/api/rejections/{told['id']}/approve"), 409)
    assert web("rejections.read").get("/api/rejections?due=1").json() == {"rejections": []}
    (listed,) = web("rejections.read").get("/api/rejections").json()["rejections"]
    more = {"patient": {"name": "Lefèvre^Hélène", "id": "FR-1"}, "departments": []}
    assert listed == told | more | {"description": "TDM cérébrale"}


def test_a_removal_is_planned_with_its_proof(web, delete, study, layout):
    told = delete()
    assert digests.compute(layout) == 6
    prove(layout, study[0])
    answer = web("rejections.read").get(f"/api/rejections/{told['id']}").json()
    assert answer["rejection"]["patient"] == {"name": "Lefèvre^Hélène", "id": "FR-1"}
    assert not answer["due"]
    plan = {one["sop_instance_uid"]: one for one in answer["plan"]}
    assert set(plan) == {*study, told["id"]}
    assert plan[study[0]]["stays"] == ""
    assert plan[study[0]]["copies"][0]["volume"] == "A1"
    assert plan[study[1]]["stays"] == "no verified copy of it is in the archive"
    assert Instance.every.count() == 6
    make_due(told)
    assert web("rejections.read").get(f"/api/rejections/{told['id']}").json()["due"]
    require_problem(web("rejections.read").get("/api/rejections/1.2.3"), 404)


def test_an_approved_removal_takes_only_what_the_archive_holds(web, delete, study, layout):
    told = delete()
    make_due(told)
    assert digests.compute(layout) == 6
    (due,) = web("rejections.read").get("/api/rejections?due=1").json()["rejections"]
    assert due["id"] == told["id"]
    prove(layout, *study[:3])
    address = f"/api/rejections/{told['id']}/approve"
    require_problem(web("dicomweb.delete").post(address), 403)
    answer = web("rejections.approve").post(address).json()
    assert answer["removed"] == 3
    assert {one["sop_instance_uid"] for one in answer["kept"]} == {*study[3:], told["id"]}
    names = {path.stem for path in layout.objects.rglob("*.dcm")}
    assert names == {*study[3:], told["id"]}
    kinds = [r["kind"] for r in of_study(Journal(layout.journal), STUDY)]
    assert kinds.count("removed") == 3
    require_problem(web("dicomweb.delete").post(f"/api/rejections/{told['id']}/undo"), 409)
    assert web("rejections.read").get("/api/rejections?due=1").json() == {"rejections": []}
    prove(layout, *study[3:], told["id"])
    answer = web("rejections.approve").post(address).json()
    assert (answer["removed"], answer["kept"]) == (3, [])
    assert answer["rejection"]["removed"] == 6
    assert not Study.objects.exists() and not list(layout.objects.rglob("*.dcm"))


def test_a_copy_of_other_bytes_removes_nothing(web, delete, study, layout):
    told = delete()
    make_due(told)
    prove(layout, *study)
    row = Instance.every.get(uid=study[0])
    layout.object(row.hour, row.uid).write_bytes(b"damaged")
    answer = web("rejections.approve").post(f"/api/rejections/{told['id']}/approve").json()
    assert study[0] in {one["sop_instance_uid"] for one in answer["kept"]}


def test_a_removed_instance_that_comes_again_stays_hidden(web, delete, study, layout, take):
    told = delete()
    make_due(told)
    prove(layout, *study, told["id"])
    web("rejections.approve").post(f"/api/rejections/{told['id']}/approve")
    assert take(ct(1)).outcome == "stored"
    assert everything() == ([], [], [])


def test_a_ticket_of_another_study_opens_no_rejection(web, delete, study):
    told = delete()
    bound = web("dicomweb.delete", study="1.2.3")
    require_problem(bound.post(f"/api/rejections/{told['id']}/undo"), 403)
    assert web("rejections.read", study="1.2.3").get("/api/rejections").json()["rejections"] == []


def test_what_is_undone_while_its_removal_is_prepared_stays(delete, study, layout):
    told = delete()
    make_due(told)
    prove(layout, *study, told["id"])
    rejection = Rejection.objects.get()

    def proven_slowly(*asked):
        reject.undo(layout, Rejection.objects.get(), "somebody")
        return proven(*asked)

    with pytest.raises(Conflict, match="found again"):
        reject_removal.approve(layout, rejection, "approver", proven_slowly)
    assert set(everything()[2]) == {*study, told["id"]}
    assert {path.stem for path in layout.objects.rglob("*.dcm")} == {*study, told["id"]}
    assert REMOVED not in [record["kind"] for record in of_study(Journal(layout.journal), STUDY)]


def test_what_was_removed_meanwhile_is_not_undone(delete, study, layout):
    told = delete()
    make_due(told)
    prove(layout, *study[:1])
    before = Rejection.objects.get()  # as whoever asks for the undo has read it
    reject_removal.approve(layout, Rejection.objects.get(), "approver", proven)
    with pytest.raises(Conflict, match="removed"):
        reject.undo(layout, before, "somebody")
    assert everything() == ([], [], [])


def test_bytes_that_changed_since_their_receipt_was_read_stay(delete, study, layout):
    told = delete()
    make_due(told)
    prove(layout, *study)

    def proven_slowly(*asked):
        found = proven(*asked)
        Instance.every.filter(uid=study[0]).update(stored_sha256="0" * 64)
        return found

    done = reject_removal.approve(layout, Rejection.objects.get(), "approver", proven_slowly)
    assert done["removed"] == 4
    assert Instance.every.filter(uid=study[0]).exists()
    assert [path.stem for path in layout.objects.rglob(f"{study[0]}.dcm")] == [study[0]]


def test_what_waits_for_a_quarantine_decision_is_not_removed(web, delete, study, layout, take):
    told = delete()
    take(ct(1, StudyDescription="other"))
    make_due(told)
    prove(layout, *study, told["id"])
    answer = web("rejections.approve").post(f"/api/rejections/{told['id']}/approve").json()
    assert [one["sop_instance_uid"] for one in answer["kept"]] == [study[0]]
    assert Instance.every.filter(uid=study[0]).exists()
