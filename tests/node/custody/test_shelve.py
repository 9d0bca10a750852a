"""OFFLINE: an evicted instance whose volume is on a shelf is told as such at every door."""

from __future__ import annotations

import json

import pytest

from dicom_node.index import journaled, rebuild, rejections
from dicom_node.index.answers import find
from dicom_node.index.query import Level, Query
from dicom_node.models import Instance, RecallRequest, Series, Study
from dicom_node.store.journal import Journal
from tests.node.custody.plans import URL, path_of, plan_for, put
from tests.node.objects import SERIES, STUDY
from tests.node.reject.rejected import interrupted
from tests.node.web_answers import require_problem

AVAILABILITY = 0x00080056


@pytest.fixture
def shelve(archive):
    """Put an availability: `shelve("OFFLINE")`, `shelve("OFFLINE", uid, ...)`."""

    def shelve(availability, *uids):
        told = {"availability": availability} | ({"instances": list(uids)} if uids else {})
        return archive("custody.availability", study=STUDY).put(
            f"{URL}/availability", json.dumps(told), content_type="application/json"
        )

    return shelve


@pytest.fixture
def evicted(study, evict, layout):
    """The study's files, all evicted; returns them by number."""
    files = {n: path_of(layout, f"{SERIES}.{n}").read_bytes() for n in (1, 2, 3)}
    assert len(evict(plan_for(study)).json()["evicted"]) == 3
    return files


def told(level):
    keys = {
        Level.SERIES: {"StudyInstanceUID": STUDY},
        Level.IMAGE: {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES},
    }.get(level, {})
    return [
        next(value for tag, _, value in row if tag == AVAILABILITY)
        for row in find(Query(level, keys))
    ]


def counts():
    return (
        *Study.objects.values_list("evicted_count", "offline_count").get(),
        *Series.objects.values_list("evicted_count", "offline_count").get(),
    )


def test_a_whole_is_as_available_as_its_least_available_instance(evicted, shelve):
    assert told(Level.STUDY) == told(Level.SERIES) == ["NEARLINE"]
    answer = shelve("OFFLINE", f"{SERIES}.2").json()
    assert answer == {"study_uid": STUDY, "moved": [f"{SERIES}.2"], "not_evicted": []}
    assert told(Level.STUDY) == told(Level.SERIES) == ["OFFLINE"]
    assert told(Level.IMAGE) == ["NEARLINE", "OFFLINE", "NEARLINE"]
    assert counts() == (3, 1, 3, 1)
    shelve("NEARLINE")
    assert told(Level.STUDY) == ["NEARLINE"]
    assert counts() == (3, 0, 3, 0)


def test_only_evicted_instances_are_shelved(study, shelve, evict, layout):
    assert shelve("OFFLINE").json()["moved"] == []
    answer = shelve("OFFLINE", f"{SERIES}.1", "1.2.3").json()
    assert (answer["moved"], answer["not_evicted"]) == ([], ["1.2.3", f"{SERIES}.1"])
    assert not list(layout.journal.glob("*"))
    assert told(Level.STUDY) == ["ONLINE"]


def test_the_same_again_is_not_journalled_again(evicted, shelve, layout):
    shelve("OFFLINE")
    assert shelve("OFFLINE").json()["moved"] == []
    records = journaled.of_study(Journal(layout.journal), STUDY)
    assert [record["kind"] for record in records].count("availability") == 1


def test_the_archive_reads_it_back(evicted, shelve, archive):
    shelve("OFFLINE", f"{SERIES}.1")
    manifest = archive("custody.read", study=STUDY).get(URL).json()
    places = {one["sop_instance_uid"]: one["availability"] for one in manifest["instances"]}
    assert places[f"{SERIES}.1"] == "OFFLINE" and places[f"{SERIES}.2"] == "NEARLINE"
    answer = archive("custody.read", study=STUDY).get(f"{URL}/instances/{SERIES}.1")
    assert answer.status_code == 503


@pytest.mark.parametrize(
    "end", [f"/series/{SERIES}", f"/series/{SERIES}/instances/{SERIES}.1/frames/1"]
)
def test_pixels_are_503_with_a_word_of_the_operator_and_are_asked_for(evicted, shelve, portal, end):
    nearline = portal.get(f"/dicom-web/studies/{STUDY}{end}")
    assert "operator" not in require_problem(nearline, 503)
    assert nearline["Retry-After"] == "10"
    RecallRequest.objects.all().delete()
    shelve("OFFLINE")
    answer = portal.get(f"/dicom-web/studies/{STUDY}{end}")
    assert "operator" in require_problem(answer, 503)
    assert answer["Retry-After"] == "600"
    assert RecallRequest.objects.get().study_uid == STUDY


def test_metadata_and_thumbnails_go_on_answering(evicted, shelve, portal):
    before = portal.get(f"/dicom-web/studies/{STUDY}/metadata")
    shelve("OFFLINE")
    after = portal.get(f"/dicom-web/studies/{STUDY}/metadata")
    assert (before.status_code, after.status_code) == (200, 200)
    assert before["ETag"] != after["ETag"]
    assert portal.get(f"/dicom-web/studies/{STUDY}/thumbnail").status_code == 200


def test_a_recall_makes_it_online_and_an_eviction_nearline_again(
    evicted, shelve, archive, evict, layout
):
    shelve("OFFLINE")
    for number, content in evicted.items():
        assert put(archive, f"{SERIES}.{number}", content).status_code == 201
    assert counts() == (0, 0, 0, 0)
    assert told(Level.STUDY) == ["ONLINE"]
    evict(plan_for(Study.objects.get(), "p2"))
    assert told(Level.STUDY) == ["NEARLINE"]
    rebuild.rebuild(layout)
    assert told(Level.STUDY) == ["NEARLINE"]


def test_it_survives_a_reindex(evicted, shelve, layout):
    shelve("OFFLINE", f"{SERIES}.2", f"{SERIES}.3")
    before = (counts(), told(Level.IMAGE))
    rebuild.rebuild(layout)
    assert (counts(), told(Level.IMAGE)) == before


def test_what_is_rejected_counts_no_more(evicted, shelve):
    shelve("OFFLINE", f"{SERIES}.2")
    at = Study.objects.get().last_arrival_at
    intent = interrupted([], at)
    with rejections.held(rejections.begin(intent, [f"{SERIES}.2"])) as rejection:
        rejections.hide(rejection)
    assert (counts(), told(Level.STUDY)) == ((2, 0, 2, 0), ["NEARLINE"])
    with rejections.held(rejection) as now:
        rejections.show(now)
    assert (counts(), told(Level.STUDY)) == ((3, 1, 3, 1), ["OFFLINE"])


@pytest.mark.parametrize(
    "told", [{}, {"availability": "ONLINE"}, {"availability": "OFFLINE", "instances": "x"}, []]
)
def test_nonsense_is_bad_input(study, archive, told):
    answer = archive("custody.availability").put(
        f"{URL}/availability", json.dumps(told), content_type="application/json"
    )
    assert answer.status_code == 400
    assert Instance.objects.exclude(availability="ONLINE").count() == 0
