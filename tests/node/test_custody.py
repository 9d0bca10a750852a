"""Eviction on proof and recall of the exact bytes: what the archive may and may not do."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pydicom import dcmread

from dicom_node.chores import digests
from dicom_node.custody import evict as evict_module
from dicom_node.index import rebuild
from dicom_node.ingest.ingest import Arrival
from dicom_node.models import EvictionPlan, Instance, RecallRequest, Study
from dicom_node.store.journal import Journal
from dicom_node.store.layout import STUB, THUMBNAIL
from tests.node.objects import SERIES, STUDY, ct, encoded, without_pixels

URL = f"/api/custody/studies/{STUDY}"


@pytest.fixture
def study(take, layout):
    """A study of three instances whose digests are ready."""
    for number in (1, 2, 3):
        take(ct(number))
    digests.compute(layout)
    return Study.objects.get()


@pytest.fixture
def evict(archive):
    """Post a plan: `evict(plan)` with a fresh ticket for it."""

    def evict(plan, **other):
        bound = {"plan": plan["plan_id"], "study": plan["study_uid"]} | other.get("ticket", {})
        client = archive("custody.evict", **bound)
        return client.post(
            "/api/custody/evictions", json.dumps(plan), content_type="application/json"
        )

    return evict


def plan_for(study, plan_id="p1", **changes):
    study.refresh_from_db()
    rows = Instance.objects.filter(series__study=study).order_by("uid")
    copies = [{"vault": "vault-1", "volume": "A00001", "verified_at": "2026-11-21T10:00:00Z"}]
    return {
        "plan_id": plan_id,
        "study_uid": study.uid,
        "revision": study.revision,
        "recalls": study.recalls,
        "instances": [
            {"sop_instance_uid": r.uid, "stored_sha256": r.stored_sha256, "copies": copies}
            for r in rows
        ],
    } | changes


def path_of(layout, uid, suffix=".dcm"):
    return layout.object(Instance.objects.get(uid=uid).hour, uid, suffix)


def test_facts_tell_what_the_archive_decides_by(study, archive):
    page = archive("custody.read").get("/api/custody/studies").json()
    (facts,) = page["studies"]
    assert facts["patient_key"] == {"issuer": "FREJUS", "id": "FR-1"}
    assert (facts["instances"], facts["online"], facts["revision"]) == (3, 3, 3)
    assert facts["digests_ready"] and facts["modalities"] == ["CT"]


def test_facts_are_paged_by_uid(take, archive):
    for number in range(5):
        take(ct(1, study=f"1.2.{number}", series=f"1.2.{number}.1"))
    seen, after = [], ""
    while after is not None:
        page = archive("custody.read").get(f"/api/custody/studies?limit=2&after={after}").json()
        seen += [facts["study_uid"] for facts in page["studies"]]
        after = page["next"]
    assert seen == [f"1.2.{number}" for number in range(5)]


def test_digests_are_not_ready_before_the_chores_ran(take, archive):
    take(ct())
    (facts,) = archive("custody.read").get("/api/custody/studies").json()["studies"]
    assert not facts["digests_ready"]


def test_a_file_that_rotted_gets_no_digest_and_is_flagged(take, layout, archive):
    take(ct())
    path = path_of(layout, f"{SERIES}.1")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    digests.compute(layout)
    row = Instance.objects.get()
    assert row.damaged and not row.stored_sha256
    (facts,) = archive("custody.read").get("/api/custody/studies").json()["studies"]
    assert not facts["digests_ready"]


def test_the_stored_file_is_served_byte_for_byte(study, archive, layout):
    answer = archive("custody.read", study=STUDY).get(f"{URL}/instances/{SERIES}.1")
    assert b"".join(answer.streaming_content) == path_of(layout, f"{SERIES}.1").read_bytes()
    assert answer["ETag"].strip('"') == Instance.objects.get(uid=f"{SERIES}.1").stored_sha256


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


def test_the_index_is_synced_before_a_file_goes(study, evict, layout, monkeypatch):
    seen, unlink = [], evict_module._unlink

    def watched(path):
        with connection.cursor() as cursor:
            seen.append(cursor.execute("PRAGMA synchronous").fetchone()[0])
        rows = Instance.objects.filter(uid=path.stem).values_list("availability", flat=True)
        seen.append(*rows)
        return unlink(path)

    levels = []
    statements = evict_module.writer.connection.execute_wrapper

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


def put(archive, uid, content):
    return archive("custody.recall", study=STUDY).put(
        f"{URL}/instances/{uid}", content, content_type="application/dicom"
    )


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


def test_the_journal_holds_the_receipt(study, evict, layout):
    evict(plan_for(study))
    records = Journal(layout.journal).of_study(STUDY)
    assert [record["kind"] for record in records] == [rebuild.EVICTED] * 3
    assert records[0]["copies"][0]["volume"] == "A00001"


def test_an_evicted_file_is_not_served(study, evict, archive):
    evict(plan_for(study))
    answer = archive("custody.read", study=STUDY).get(f"{URL}/instances/{SERIES}.1")
    assert answer.status_code == 503
    assert answer["Retry-After"]


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


def test_one_object_without_digest_stops_no_other(take, layout, monkeypatch):
    take(ct(1))
    take(ct(2))

    def broken_for_the_first(ds):
        if ds.InstanceNumber == 1:
            raise ZeroDivisionError
        return "0" * 64

    monkeypatch.setattr(digests, "pixel_sha256", broken_for_the_first)
    assert digests.compute(layout) == 2
    assert Instance.objects.get(uid=f"{SERIES}.1").damaged
    assert Instance.objects.get(uid=f"{SERIES}.2").stored_sha256


def test_a_file_that_cannot_be_read_for_now_is_tried_again(take, layout, monkeypatch):
    take(ct(1))

    def too_many_files(path):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(digests.part10, "stored_digests", too_many_files)
    assert digests.compute(layout) == 0
    monkeypatch.undo()
    assert digests.compute(layout) == 1
    assert Instance.objects.get().stored_sha256
