"""Eviction on proof: what a plan may and may not do."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pydicom import dcmread

from dicom_node.chores import digests
from dicom_node.custody import evict as evict_module
from dicom_node.index.journaled import of_study
from dicom_node.ingest.ingest import Arrival
from dicom_node.models import EvictionPlan, Instance, Study
from dicom_node.store import part10
from dicom_node.store.journal import EVICTED, Journal
from dicom_node.store.layout import STUB, THUMBNAIL
from tests.node.custody.plans import path_of, plan_for, put
from tests.node.objects import SERIES, STUDY, ct, encoded, without_pixels


def test_a_proven_plan_evicts_and_leaves_stubs(study, evict, layout):
    answer = evict(plan_for(study)).json()
    assert sorted(answer["evicted"]) == [f"{SERIES}.{n}" for n in (1, 2, 3)]
    assert answer["freed_bytes"] > 0
    assert not list(layout.objects.rglob("*.dcm"))
    stub = dcmread(path_of(layout, f"{SERIES}.1", STUB))
    assert stub == without_pixels(ct(1))
    assert path_of(layout, f"{SERIES}.1", THUMBNAIL).read_bytes()[:2] == b"\xff\xd8"
    study.refresh_from_db()
    assert (study.evicted_count, study.online_bytes) == (3, 0)


def test_the_same_plan_with_a_new_ticket_gets_the_stored_answer(study, evict):
    plan = plan_for(study)
    first = evict(plan).json()
    assert evict(plan).json() == first


def test_a_plan_that_was_interrupted_is_finished(study, evict, layout, monkeypatch):
    plan = plan_for(study)
    die_after_one_file(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evict(plan)
    monkeypatch.undo()
    assert sorted(evict(plan).json()["evicted"]) == [f"{SERIES}.{n}" for n in (1, 2, 3)]
    assert not list(layout.objects.rglob("*.dcm"))
    study.refresh_from_db()
    assert study.evicted_count == 3


def die_after_one_file(monkeypatch):
    """Let an eviction be killed between two files."""
    unlink, removed = evict_module._unlink, []

    def dies_after_one(path):
        if removed:
            raise KeyboardInterrupt
        removed.append(path)
        return unlink(path)

    monkeypatch.setattr(evict_module, "_unlink", dies_after_one)


def test_an_interrupted_plan_is_void_after_a_recall_too(study, evict, archive, layout, monkeypatch):
    plan = plan_for(study)
    files = {n: path_of(layout, f"{SERIES}.{n}").read_bytes() for n in (1, 2, 3)}
    die_after_one_file(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evict(plan)
    monkeypatch.undo()
    assert put(archive, f"{SERIES}.1", files[1]).status_code == 201
    assert evict(plan).status_code == 409
    assert path_of(layout, f"{SERIES}.1").exists()


def test_the_index_is_synced_before_a_file_goes(study, evict, layout, monkeypatch):
    seen, unlink = [], evict_module._unlink

    def watched(path):
        with connection.cursor() as cursor:
            seen.append(cursor.execute("PRAGMA synchronous").fetchone()[0])
        rows = Instance.objects.filter(uid=path.stem).values_list("availability", flat=True)
        seen.append(*rows)
        return unlink(path)

    levels = []
    statements = connection.execute_wrapper

    def note(execute, sql, params, many, context):
        if sql.startswith("PRAGMA synchronous") or 'SET "availability"' in sql:
            levels.append(sql.split(" SET ")[0])
        return execute(sql, params, many, context)

    monkeypatch.setattr(evict_module, "_unlink", watched)
    with statements(note):
        evict(plan_for(study))
    full = levels.index("PRAGMA synchronous=FULL")
    assert full < levels.index('UPDATE "dicom_node_instance"')
    assert levels.index("PRAGMA synchronous=NORMAL", full) > full
    assert seen == [1, "NEARLINE"] * 3


@pytest.mark.parametrize("reader", ["file_sha256", "read_object"])
def test_a_file_that_another_eviction_takes_meanwhile_is_a_refusal_and_no_fault(
    study, evict, layout, monkeypatch, reader
):
    path, real = path_of(layout, f"{SERIES}.1"), getattr(part10, reader)

    def taken_meanwhile(source):
        if source == path:
            path.unlink(missing_ok=True)
        return real(source)

    monkeypatch.setattr(part10, reader, taken_meanwhile)
    answer = evict(plan_for(study))
    if reader == "file_sha256":
        (refused,) = answer.json()["refused"]
        assert refused["sop_instance_uid"] == f"{SERIES}.1"
    else:
        assert answer.status_code == 409
        assert all(path_of(layout, f"{SERIES}.{number}").exists() for number in (2, 3))


def test_a_uid_that_a_plan_names_twice_is_evicted_once(study, evict):
    plan = plan_for(study)
    plan["instances"] *= 2
    assert len(evict(plan).json()["evicted"]) == 3


@pytest.mark.parametrize("copies", ["abc", None, [1], 7])
def test_copies_that_are_none_are_bad_input(study, evict, copies):
    plan = plan_for(study)
    plan["instances"][0]["copies"] = copies
    assert evict(plan).status_code == 400


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"stored_sha256": "0" * 64}, "digest"),
        ({"copies": []}, "verified"),
        ({"copies": [{"vault": "v", "verified_at": None}]}, "verified"),
        ({"sop_instance_uid": "1.2.3"}, "study"),
    ],
)
def test_an_unproven_receipt_is_refused_alone(study, evict, layout, damage, reason):
    plan = plan_for(study)
    plan["instances"][0] |= damage
    answer = evict(plan).json()
    assert len(answer["evicted"]) == 2
    assert reason in answer["refused"][0]["reason"]
    assert path_of(layout, f"{SERIES}.1").exists()


def test_a_file_that_changed_on_disk_is_not_evicted(study, evict, layout):
    path = path_of(layout, f"{SERIES}.2")
    path.write_bytes(path.read_bytes() + b"x")
    answer = evict(plan_for(study)).json()
    assert [r["sop_instance_uid"] for r in answer["refused"]] == [f"{SERIES}.2"]
    assert path.exists()


def test_a_study_in_use_stays(study, evict):
    Study.objects.update(last_access_at=timezone.now() - timedelta(seconds=5))
    answer = evict(plan_for(study)).json()
    assert answer["evicted"] == [] and "in use" in answer["refused"][0]["reason"]


def test_a_quarantined_uid_stays(study, evict, take):
    other = ct(1)
    other.PixelData = bytes(512)
    take(other)
    answer = evict(plan_for(study)).json()
    assert "quarantine" in answer["refused"][0]["reason"]
    assert len(answer["evicted"]) == 2


def test_a_plan_is_void_after_an_arrival(study, evict, take):
    plan = plan_for(study)
    take(ct(4))
    answer = evict(plan)
    assert answer.status_code == 409 and "arrived" in answer.json()["detail"]


def test_a_plan_is_void_after_a_recall(study, evict, archive, layout):
    plan = plan_for(study, plan_id="old")
    files = {n: path_of(layout, f"{SERIES}.{n}").read_bytes() for n in (1, 2, 3)}
    evict(plan_for(study))
    put(archive, f"{SERIES}.1", files[1])
    answer = evict(plan)
    assert answer.status_code == 409 and "recalled" in answer.json()["detail"]


def test_a_ticket_for_another_plan_is_refused(study, evict):
    assert evict(plan_for(study), ticket={"plan": "other"}).status_code == 409


def test_a_ticket_for_another_study_is_refused(study, evict):
    assert evict(plan_for(study), ticket={"study": "1.2.3"}).status_code == 403


def test_a_ticket_is_used_once(study, archive):
    plan = plan_for(study)
    client = archive("custody.evict", plan="p1", study=STUDY)
    assert post(client, plan).status_code == 200
    EvictionPlan.objects.all().delete()
    answer = post(client, plan)
    assert answer.status_code == 409 and "used" in answer.json()["detail"]


def post(client, plan):
    return client.post("/api/custody/evictions", json.dumps(plan), content_type="application/json")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"plan_id": "p1"}', "nonsense"])
def test_a_plan_that_is_none_is_bad_input(study, archive, body):
    client = archive("custody.evict", plan="p1")
    answer = client.post("/api/custody/evictions", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_the_journal_holds_the_receipt(study, evict, layout):
    evict(plan_for(study))
    records = of_study(Journal(layout.journal), STUDY)
    assert [record["kind"] for record in records] == [EVICTED] * 3
    assert records[0]["copies"][0]["volume"] == "A00001"


ROWS, ROWS_OF_WRONG_LENGTH = (
    b"\x28\x00\x10\x00US\x02\x00\x10\x00",
    b"\x28\x00\x10\x00US\x01\x00\x10",
)


@pytest.mark.parametrize(
    ("syntax", "rows"),
    [
        ("1.2.840.10008.1.2.8.1", ROWS),  # a transfer syntax that pydicom does not know
        ("1.2.840.10008.1.2.1", ROWS_OF_WRONG_LENGTH),
    ],
)
def test_what_cannot_be_written_anew_keeps_its_header_as_it_is(ingest, evict, layout, syntax, rows):
    content = encoded(ct())
    assert ROWS in content
    ingest.take(Arrival(content.replace(ROWS, rows), syntax))
    digests.compute(layout)
    assert evict(plan_for(Study.objects.get())).json()["evicted"] == [f"{SERIES}.1"]
    kept = path_of(layout, f"{SERIES}.1", STUB).read_bytes()
    assert "Lefèvre".encode("latin-1") in kept
    assert ct().PixelData not in kept
