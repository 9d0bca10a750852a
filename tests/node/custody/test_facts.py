"""What the archive decides by: facts, digests, and the stored bytes."""

from __future__ import annotations

from dicom_node.chores import digests
from dicom_node.models import Instance
from tests.node.custody.plans import URL, path_of, plan_for
from tests.node.objects import SERIES, STUDY, ct


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


def test_an_evicted_file_is_not_served(study, evict, archive):
    evict(plan_for(study))
    answer = archive("custody.read", study=STUDY).get(f"{URL}/instances/{SERIES}.1")
    assert answer.status_code == 503
    assert answer["Retry-After"]


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
