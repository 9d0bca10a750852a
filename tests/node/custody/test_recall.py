"""Recall of the exact bytes."""

from __future__ import annotations

import io
import threading

import pytest

from dicom_node.chores import digests
from dicom_node.config import Keeping
from dicom_node.custody import evict as evict_module
from dicom_node.custody import recall
from dicom_node.index import rebuild
from dicom_node.models import Instance, RecallRequest, Study
from dicom_node.prepared import preparing
from dicom_node.store import part10
from dicom_node.store.layout import STUB
from tests.node.custody.plans import path_of, plan_for, put
from tests.node.objects import SERIES, STUDY, ct


def test_a_recall_that_meets_an_eviction_loses_nothing(study, evict, archive, layout, monkeypatch):
    plan = plan_for(study)
    path = path_of(layout, f"{SERIES}.1")
    content = path.read_bytes()
    unlink, recalls = evict_module._unlink, []

    def meets_a_recall(gone):
        if gone == path:  # the index says that it is away, and the file still lies there
            recalls.append(threading.Thread(target=put, args=(archive, f"{SERIES}.1", content)))
            recalls[0].start()
            recalls[0].join(0.5)
        return unlink(gone)

    monkeypatch.setattr(evict_module, "_unlink", meets_a_recall)
    evict(plan)
    recalls[0].join(5)
    assert Instance.objects.get(uid=f"{SERIES}.1").availability == "ONLINE"
    assert path.read_bytes() == content


def test_a_file_that_is_lost_though_online_can_be_recalled(study, archive, layout):
    path = path_of(layout, f"{SERIES}.1")
    content = path.read_bytes()
    path.unlink()
    rebuild.catch_up(layout, "")
    assert Instance.objects.get(uid=f"{SERIES}.1").damaged
    assert put(archive, f"{SERIES}.1", content).status_code == 201
    assert path.read_bytes() == content
    assert not Instance.objects.get(uid=f"{SERIES}.1").damaged
    study.refresh_from_db()
    assert (study.evicted_count, study.instance_count) == (0, 3)


def test_recall_restores_the_exact_file(study, evict, archive, layout):
    path = path_of(layout, f"{SERIES}.1")
    content = path.read_bytes()
    evict(plan_for(study))
    answer = put(archive, f"{SERIES}.1", content)
    assert (answer.status_code, answer.json()) == (201, {"restored": True})
    assert path.read_bytes() == content
    assert not path_of(layout, f"{SERIES}.1", STUB).exists()
    study.refresh_from_db()
    assert (study.evicted_count, study.recalls, study.revision) == (2, 1, 3)


def test_recall_twice_changes_nothing(study, evict, archive, layout):
    content = path_of(layout, f"{SERIES}.1").read_bytes()
    evict(plan_for(study))
    put(archive, f"{SERIES}.1", content)
    answer = put(archive, f"{SERIES}.1", content)
    assert (answer.status_code, answer.json()) == (200, {"restored": False})


@pytest.mark.parametrize("wrong", [lambda c: c[:-1] + b"x", lambda c: c[:-1], lambda c: c + b"x"])
def test_recall_of_other_bytes_is_refused_and_leaves_nothing(study, evict, archive, layout, wrong):
    content = path_of(layout, f"{SERIES}.1").read_bytes()
    evict(plan_for(study))
    assert put(archive, f"{SERIES}.1", wrong(content)).status_code in (400, 409)
    assert not path_of(layout, f"{SERIES}.1").exists()
    assert not list(layout.objects.rglob("*.part"))
    assert put(archive, f"{SERIES}.1", content).status_code == 201


def test_recall_of_what_the_node_never_had_is_404(study, archive):
    assert put(archive, "1.2.3", b"x").status_code == 404


def test_a_recall_request_leaves_the_list_when_all_is_back(study, evict, archive, layout):
    files = {n: path_of(layout, f"{SERIES}.{n}").read_bytes() for n in (1, 2, 3)}
    evict(plan_for(study))
    RecallRequest.objects.create(study_uid=STUDY, requested_by="WS1")
    wanted = archive("custody.read").get("/api/custody/recall-requests").json()["requests"]
    assert [request["study_uid"] for request in wanted] == [STUDY]
    for number, content in files.items():
        put(archive, f"{SERIES}.{number}", content)
    assert not RecallRequest.objects.exists()


def test_what_was_compressed_at_rest_comes_back_exactly_after_eviction_and_reindex(
    take, evict, layout
):
    take(ct(1, Rows=64, Columns=64, PixelData=bytes(64 * 64 * 2)))
    digests.compute(layout)
    study = Study.objects.get()
    assert preparing.prepare(study, lambda: True, Keeping.AT_REST)
    before, path = Instance.objects.values().get(), path_of(layout, f"{SERIES}.1")
    content = path.read_bytes()
    assert part10.recompressed(path)
    assert len(evict(plan_for(study)).json()["evicted"]) == 1
    rebuild.rebuild(layout)
    row = Instance.objects.select_related("series__study").get()
    assert recall.put_back(layout, row, io.BytesIO(content), len(content), reserve_bytes=1)
    assert path.read_bytes() == content
    after = Instance.objects.values().get()
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"id", "series_id", "routed"}


def test_a_damaged_file_gives_place_to_the_exact_one(study, archive, layout):
    path = path_of(layout, f"{SERIES}.1")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    Instance.objects.filter(uid=f"{SERIES}.1").update(damaged=True)
    wrong = content[:-1] + b"y"
    assert put(archive, f"{SERIES}.1", wrong).status_code == 409
    assert path.read_bytes() == content[:-1] + b"x"
    assert put(archive, f"{SERIES}.1", content).status_code == 201
    assert path.read_bytes() == content
    assert not Instance.objects.get(uid=f"{SERIES}.1").damaged
    study.refresh_from_db()
    assert (study.recalls, study.evicted_count) == (0, 0)


def test_a_file_that_was_called_damaged_and_is_not_stays(study, archive, layout):
    content = path_of(layout, f"{SERIES}.1").read_bytes()
    Instance.objects.filter(uid=f"{SERIES}.1").update(damaged=True)
    assert put(archive, f"{SERIES}.1", content).json() == {"restored": False}
    assert not Instance.objects.get(uid=f"{SERIES}.1").damaged
