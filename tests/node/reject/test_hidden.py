"""A rejection hides in every answer and comes back by an undo (custody rule 8)."""

from __future__ import annotations

import io

from django.test import Client
from django.utils import timezone

from dicom_node.custody import reject
from dicom_node.forwarding import routing
from dicom_node.index import checkpoint, rebuild, rejections
from dicom_node.index.compare import catch_up
from dicom_node.index.cursors import rows
from dicom_node.index.query import Level, Query, count
from dicom_node.index.wanted import instances
from dicom_node.models import Instance, RejectedItem, Rejection, Study
from dicom_node.store import part10
from tests.node.objects import SERIES, STUDY, ct, put_away
from tests.node.reject.rejected import ADDRESS, OTHER, counts, everything, interrupted
from tests.node.web_answers import require_problem


def test_a_deleted_study_is_in_no_answer_and_all_its_bytes_stay(web, delete, study, layout):
    files = sorted(layout.objects.rglob("*.dcm"))
    told = delete()
    assert (told["instances"], told["code"], told["by"]) == (5, "113001", "tester")
    assert everything() == ([], [], [])
    assert not list(rows(Query(Level.PATIENT)))
    assert count(Query(Level.STUDY), 9) == 0
    read = web("dicomweb")
    series = f"{ADDRESS}/series/{SERIES}"
    for address in (
        *(ADDRESS, series, f"{series}/instances/{study[0]}", f"{ADDRESS}/metadata"),
        *(f"{ADDRESS}/rendered", f"{ADDRESS}/thumbnail", f"{series}/metadata"),
        *(f"{series}/instances/{study[0]}/frames/1", f"/api/instances/{study[0]}/header"),
    ):
        require_problem(read.get(address), 404)
    assert not instances(Level.STUDY, {"StudyInstanceUID": STUDY}).exists()
    assert set(files) < set(layout.objects.rglob("*.dcm"))


def test_a_deleted_series_leaves_the_other_with_its_counts(delete, study):
    delete(f"{ADDRESS}/series/{SERIES}")
    assert everything() == ([STUDY], [OTHER], sorted(study[3:]))
    assert counts() == (1, 2, "MR", 4)
    delete(f"{ADDRESS}/series/{OTHER}/instances/{study[3]}")
    assert everything() == ([STUDY], [OTHER], [study[4]])
    assert counts() == (1, 1, "MR", 6)


def test_undo_brings_all_back(web, delete, study):
    before = everything(), counts()
    revision = Study.objects.get().revision
    told = delete()
    answer = web("dicomweb.delete").post(f"/api/rejections/{told['id']}/undo")
    assert answer.json()["rejection"]["state"] == "undone"
    studies, _, images = everything()
    note = Rejection.objects.get().note_uid
    assert studies == before[0][0]
    assert set(images) == {*before[0][2], note}
    assert counts()[1:] == (6, "CT\\KO\\MR", 0)
    assert Study.objects.get().revision > revision
    again = web("dicomweb.delete").post(f"/api/rejections/{told['id']}/undo")
    require_problem(again, 409)


def test_who_may_not_delete_hides_nothing(web, study):
    require_problem(web("dicomweb").delete(ADDRESS), 403)
    require_problem(web("dicomweb.store").delete(ADDRESS), 403)
    require_problem(Client().delete(ADDRESS), 401)
    require_problem(web("dicomweb.delete", study="1.2.3").delete(ADDRESS), 403)
    assert len(everything()[2]) == 5


def test_what_is_unknown_or_hidden_already_is_not_found(web, delete, study):
    require_problem(web("dicomweb.delete").delete("/dicom-web/studies/1.2.3"), 404)
    delete()
    require_problem(web("dicomweb.delete").delete(ADDRESS), 404)
    require_problem(web("dicomweb.delete").post("/api/rejections/1.2.3/undo"), 404)


def test_of_two_who_delete_at_once_one_is_told(web, study):
    rejections.begin(interrupted(study, timezone.now()), study)
    require_problem(web("dicomweb.delete").delete(ADDRESS), 409)
    assert Rejection.objects.count() == 1


def test_a_reason_that_is_none_is_refused(web, study):
    for query in ("reason=113002", "reason=", f"comment={'x' * 2000}", "comment=a%00b"):
        require_problem(web("dicomweb.delete").delete(f"{ADDRESS}?{query}"), 400)
    assert len(everything()[2]) == 5


def test_a_resend_of_what_is_rejected_succeeds_and_stays_hidden(delete, study, take):
    delete()
    assert take(ct(1)).outcome == "duplicate"
    assert everything() == ([], [], [])


def test_a_new_instance_of_a_rejected_study_is_found_alone(delete, study, take):
    delete()
    take(ct(9))
    assert everything() == ([STUDY], [SERIES], [str(ct(9).SOPInstanceUID)])
    assert counts() == (1, 1, "CT", 6)


def test_other_content_of_a_rejected_uid_is_quarantined(delete, study, take):
    delete()
    assert take(ct(1, StudyDescription="other")).outcome == "quarantined"


def test_a_reindexed_node_hides_the_same(web, delete, study, layout):
    delete(f"{ADDRESS}/series/{SERIES}")
    gone = delete(f"{ADDRESS}/series/{OTHER}")
    web("dicomweb.delete").post(f"/api/rejections/{gone['id']}/undo")
    before = everything(), counts()
    told = [reject.account(one) for one in reject.known()]
    rebuild.rebuild(layout)
    assert (everything(), counts()) == before
    assert [reject.account(one) for one in reject.known()] == told


def test_an_index_that_was_lost_hides_the_same_at_start(delete, study, layout):
    delete()
    for model in (Instance, Study, RejectedItem, Rejection):
        model._base_manager.all().delete()
    catch_up(layout, since="")
    assert everything() == ([], [], [])
    assert Instance.every.count() == 6


def test_an_index_that_was_lost_in_its_first_hours_hides_the_same_at_start(delete, study, layout):
    checkpoint.write(layout)
    delete()
    for model in (Instance, Study, RejectedItem, Rejection):
        model._base_manager.all().delete()
    since = checkpoint.start(layout)
    assert since
    catch_up(layout, since)
    assert everything() == ([], [], [])


def test_custody_sees_and_serves_what_is_hidden(archive, delete, study):
    before = archive("custody.read").get("/api/custody/studies").json()["studies"][0]
    delete()
    (facts,) = archive("custody.read").get("/api/custody/studies").json()["studies"]
    assert (facts["instances"], facts["online"]) == (6, 6)
    assert facts["revision"] > before["revision"]
    manifest = archive("custody.read").get(f"/api/custody/studies/{STUDY}").json()
    assert {one["sop_instance_uid"] for one in manifest["instances"]} > set(study)
    assert [one["kind"] for one in manifest["journal"]] == ["rejected"]
    address = f"/api/custody/studies/{STUDY}/instances/{study[0]}"
    kept = archive("custody.read").get(address)
    assert part10.read_object(io.BytesIO(kept.getvalue())).SOPInstanceUID == study[0]


def test_the_nodes_counts_tell_what_is_shown_and_how_many_are_hidden(web, delete, study):
    delete(f"{ADDRESS}/series/{SERIES}")
    counts_ = web("status").get("/api/node").json()["counts"]
    names = ("studies", "series", "instances", "rejected")
    assert [counts_[name] for name in names] == [1, 1, 2, 4]


def test_what_is_rejected_or_rejects_is_not_forwarded(delete, study):
    assert routing.waits()
    delete()
    assert not routing.waits()


def test_eviction_and_undo_of_what_is_hidden_keep_the_counts_right(web, delete, study, layout):
    told = delete()
    put_away(layout, *study[:2])
    row = Study.objects.get()
    assert (row.evicted_count, row.online_bytes < row.size_bytes) == (0, True)
    web("dicomweb.delete").post(f"/api/rejections/{told['id']}/undo")
    assert Study.objects.get().evicted_count == 2


def test_availability_is_that_of_what_is_shown(delete, study, layout):
    put_away(layout, study[0])
    assert Study.objects.get().evicted_count == 1
    delete(f"{ADDRESS}/series/{SERIES}/instances/{study[0]}")
    assert Study.objects.get().evicted_count == 0
