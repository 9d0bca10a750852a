"""Copy, verify, evict, recall: one study goes all the way round, byte-identical."""

import pytest
from django.utils import timezone

from archive_node.models import CopiedInstance, Copy, Plan, Proof
from tests.archive.conftest import STUDY, run_job, unlike


def test_a_study_is_copied_verified_evicted_and_recalled_byte_identical(head, vault):
    before = head.online(STUDY)

    copied = run_job("copy")
    assert (copied.state, copied.error) == ("done", "")
    assert (copied.instances_done, copied.instances_total) == (3, 3)
    assert (copied.bytes_done, copied.bytes_total) == (9000, 9000)
    copy = Copy.objects.get()
    assert (copy.volume, copy.revision, copy.instances) == ("A00001", 3, 3)
    assert copy.verified_at is not None
    assert Proof.objects.get().revision == 3

    evicted = run_job("evict")
    assert (evicted.state, evicted.error) == ("done", "")
    assert head.online(STUDY) == {}

    recalled = run_job("recall")
    assert (recalled.state, recalled.error) == ("done", "")
    assert head.online(STUDY) == before


def test_a_late_instance_is_copied_alone_and_its_manifest_names_the_older_ones(head, vault):
    from archive_node.vault import volume

    run_job("copy")
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    assert run_job("copy").state == "done"

    first, late = Copy.objects.order_by("id")
    assert [row.sop_instance_uid for row in late.contents.all()] == ["1.2.3.9"]
    with vault.warm(late.volume) as mounted, mounted.open(late.member) as file:
        manifest = volume.read_manifest(file)
    assert manifest["revision"] == 4
    assert {entry["sop_instance_uid"] for entry in manifest["elsewhere"]} == {
        "1.2.3.0", "1.2.3.1", "1.2.3.2",
    }  # fmt: skip
    assert {entry["member"] for entry in manifest["elsewhere"]} == {first.member}
    assert Proof.objects.get().revision == 4


def test_a_correction_is_a_member_of_records_alone(head, vault):
    from archive_node.vault import volume

    run_job("copy")
    before = head.online(STUDY)
    head.studies[STUDY].journal.append({"kind": "corrected", "why": "wrong entry"})
    head.studies[STUDY].revision += 1
    for _ in range(2):
        copied = run_job("copy")
        assert (copied.state, copied.error) == ("done", "")
    first, records = Copy.objects.order_by("id")
    assert (first.instances, records.instances, records.revision) == (3, 0, 4)
    assert records.verified_at is not None
    with vault.warm(records.volume) as mounted, mounted.open(records.member) as file:
        manifest = volume.read_manifest(file)
    assert [record["kind"] for record in manifest["journal"]] == ["corrected"]
    assert len(manifest["elsewhere"]) == 3
    assert run_job("evict").state == run_job("recall").state == "done"
    assert head.online(STUDY) == before


@pytest.mark.parametrize(
    "kind",
    ["rejected", "rejection-undone", "correction-undone", "held", "released", "quarantine-kept"],
)
def test_whatever_befalls_a_study_is_a_member_of_records_alone(head, vault, kind):
    """A hold need not change the node's count of revisions."""
    run_job("copy")
    head.studies[STUDY].journal.append({"at": "2026-11-28T10:00:00+00:00", "kind": kind})
    for _ in range(2):
        assert run_job("copy").state == "done"
    first, records = Copy.objects.order_by("id")
    assert (first.records, records.records, records.instances) == (0, 1, 0)
    assert records.verified_at is not None


def test_copies_evictions_and_recalls_alone_make_no_member(head, vault):
    run_job("copy")
    for kind in ("offered", "copied", "evicted", "recalled"):
        head.studies[STUDY].journal.append({"at": "2026-11-28T10:00:00+00:00", "kind": kind})
    head.studies[STUDY].revision += 1
    assert run_job("copy").state == "done"
    assert Copy.objects.count() == 1
    assert Proof.objects.get().revision == 4


def test_records_of_which_the_copy_went_bad_are_written_anew(head, vault):
    run_job("copy")
    head.studies[STUDY].journal.append({"at": "2026-11-28T10:00:00+00:00", "kind": "rejected"})
    run_job("copy")
    Copy.objects.filter(records=1).update(bad_since=timezone.now(), verified_at=None)
    run_job("copy")
    assert Copy.objects.filter(records=1, bad_since=None).count() == 1


def test_every_job_may_run_twice_with_the_same_result(head, vault):
    before = head.online(STUDY)
    for kind in ("copy", "copy"):
        assert run_job(kind).state == "done"
    assert Copy.objects.count() == 1
    assert CopiedInstance.objects.count() == 3
    for kind in ("evict", "evict"):
        assert run_job(kind).state == "done"
    assert Plan.objects.count() == 1
    for kind in ("recall", "recall"):
        assert run_job(kind).state == "done"
    assert head.online(STUDY) == before
    assert head.called("PUT") == 3


def test_a_recall_sends_only_what_is_missing_in_the_order_of_the_tape(head, vault):
    run_job("copy")
    head.in_use = {"1.2.3.1"}
    evicted = run_job("evict")
    assert evicted.state == "done"
    assert evicted.error == "CT keeps 1 instances: read a moment ago"
    head.calls.clear()

    assert run_job("recall").state == "done"
    sent = [call.rsplit("/", 1)[1] for call in head.calls if call.startswith("PUT")]
    offsets = dict(CopiedInstance.objects.values_list("sop_instance_uid", "offset"))
    assert sorted(sent) == ["1.2.3.0", "1.2.3.2"]
    assert sent == sorted(sent, key=offsets.__getitem__)


def test_nothing_is_left_in_staging(head, vault, tmp_path):
    run_job("copy")
    run_job("evict")
    run_job("recall")
    assert list((tmp_path / "data" / "staging").iterdir()) == []


def test_a_study_is_not_copied_before_its_digests_are_ready(head, vault):
    head.studies[STUDY].digests_ready = False
    job = run_job("copy")
    assert (job.state, job.attempts) == ("queued", 1)
    assert "has not computed all digests" in job.error
    assert Copy.objects.count() == 0
