"""What the archive is told anew: studies that changed since it last asked, and no other."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from dicom_node.chores import digests, renditions
from dicom_node.custody import correct, facts, quarantine
from dicom_node.custody.correct_values import Asked
from dicom_node.index import rejections, wanted
from dicom_node.models import Instance, Quarantined, Study
from tests.node.custody.plans import path_of, plan_for, put
from tests.node.objects import SERIES, STUDY, ct

OTHER = "1.2.9"


@pytest.fixture
def told(study, take, layout, archive):
    """Ask which studies changed since the last asking, with the overlap taken out."""
    take(ct(1, study=OTHER, series=f"{OTHER}.1"))
    while digests.compute(layout):
        pass

    def told():
        since = told.since
        told.since = timezone.now().isoformat()
        asked = urlencode({"since": since})
        answer = archive("custody.read").get(f"/api/custody/studies?{asked}").json()
        return [one["study_uid"] for one in answer["studies"]]

    told.since = timezone.now().isoformat()
    assert told() == []
    return told


def test_an_arrival_is_told(told, take):
    take(ct(9))
    assert told() == [STUDY]
    assert told() == []


def test_an_access_is_told(told):
    wanted.note_access([Study.objects.get(uid=STUDY).id])
    assert told() == [STUDY]


def test_an_eviction_and_a_recall_are_told(told, evict, archive, layout, study):
    content = path_of(layout, f"{SERIES}.1").read_bytes()
    evict(plan_for(study))
    assert told() == [STUDY]
    assert put(archive, f"{SERIES}.1", content).status_code == 201
    assert told() == [STUDY]


def test_a_correction_and_its_undoing_are_told(told, layout):
    asked = Asked("12345678", "identity", "typed wrongly", {"PatientName": "Durand^Paul"})
    done = correct.correct(layout, STUDY, asked, None, "tester")
    assert told() == [STUDY]
    correct.undo(layout, done, "tester")
    assert told() == [STUDY]


def test_a_rejection_and_its_undoing_are_told(told):
    intent = rejections.Intent(f"{STUDY}.7", STUDY, "113001", "", "x", "node", timezone.now())
    with rejections.held(rejections.begin(intent, [f"{SERIES}.1"])) as rejection:
        rejections.hide(rejection)
    assert told() == [STUDY]
    with rejections.held(rejection) as now:
        rejections.show(now)
    assert told() == [STUDY]


def test_digests_that_are_ready_are_told(told, take, layout):
    take(ct(9))
    told()
    digests.compute(layout)
    assert told() == [STUDY]


def test_a_preparation_is_told(told):
    renditions._mark_prepared(Study.objects.get(uid=STUDY))
    assert told() == [STUDY]


def test_a_quarantined_object_and_its_decision_are_told(told, take, layout):
    take(ct(1, PixelData=bytes(512)))
    assert told() == [STUDY]
    quarantine.keep(layout, Quarantined.objects.get(), "tester", "")
    assert told() == [STUDY]
    quarantine.undo(layout, Quarantined.objects.get(), "tester", "")
    quarantine.take(layout, Quarantined.objects.get(), "tester", "")
    assert told() == [STUDY]


def test_damage_is_told(told, take, layout):
    take(ct(9))
    told()
    path = path_of(layout, f"{SERIES}.9")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    digests.compute(layout)
    assert Instance.objects.get(uid=f"{SERIES}.9").damaged
    assert told() == [STUDY]


def test_the_answer_names_a_moment_from_which_nothing_is_missed(told, archive):
    before = timezone.now()
    answer = archive("custody.read").get("/api/custody/studies").json()
    assert answer["now"] <= (before - facts.OVERLAP + timedelta(seconds=5)).isoformat()
    Study.objects.filter(uid=STUDY).update(changed_at=before - timedelta(seconds=30))
    Study.objects.filter(uid=OTHER).update(changed_at=before - timedelta(hours=1))
    asked = urlencode({"since": answer["now"]})
    again = archive("custody.read").get(f"/api/custody/studies?{asked}").json()
    assert [one["study_uid"] for one in again["studies"]] == [STUDY]


def test_changes_are_paged_in_their_order_and_one_that_changes_meanwhile_comes_again(
    db, take, archive
):
    for number in range(5):
        take(ct(1, study=f"1.2.{number}", series=f"1.2.{number}.1"))
    moment = timezone.now()
    Study.objects.update(changed_at=moment)  # all at once: the UID tells them apart
    seen, after, cursors = [], "", []
    while after is not None:
        asked = urlencode({"since": moment.isoformat(), "limit": 2, "after": after})
        page = archive("custody.read").get(f"/api/custody/studies?{asked}").json()
        seen += [one["study_uid"] for one in page["studies"]]
        after = page["next"]
        if len(seen) == 2:
            Study.objects.filter(uid="1.2.0").update(changed_at=moment + timedelta(seconds=1))
        cursors += [after] if after else []
    assert seen == [f"1.2.{number}" for number in range(5)] + ["1.2.0"]
    assert cursors == sorted(set(cursors))


@pytest.mark.parametrize("asked", ["since=yesterday", "since=2026-11-28T10:00&after=x/1.2"])
def test_what_is_no_moment_is_bad_input(db, archive, asked):
    assert archive("custody.read").get(f"/api/custody/studies?{asked}").status_code == 400


def test_facts_tell_what_the_archives_rules_ask_for(take, archive):
    take(ct(1, InstitutionalDepartmentName="Imagerie", BodyPartExamined="HEAD"))
    take(ct(2, series=f"{SERIES}9", BodyPartExamined="NECK", PatientBirthDate="19500417"))
    (told,) = archive("custody.read").get("/api/custody/studies").json()["studies"]
    assert (told["department"], told["body_parts"]) == ("Imagerie", ["HEAD", "NECK"])
    assert (told["held"], told["holds"], told["incomplete"]) == (False, [], False)
    assert told["birth_date"] == Study.objects.get().birth_date != ""
    Study.objects.update(requesting_service="Neurologie")
    (told,) = archive("custody.read").get("/api/custody/studies").json()["studies"]
    assert told["department"] == "Neurologie"
    assert json.dumps(told)
