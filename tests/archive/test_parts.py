"""A study that is larger than a member may be is written in parts of one revision."""

from __future__ import annotations

from django.conf import settings

from archive_node.models import CopiedInstance, Copy, Proof
from archive_node.vault import volume
from tests.archive.conftest import STUDY, run_job, unlike


def manifest_of(vault, copy: Copy) -> dict:
    with vault.warm(copy.volume) as mounted, mounted.open(copy.member) as file:
        return volume.read_manifest(file, copy.member, settings.ARCHIVE.keys)


def test_each_part_names_what_lies_elsewhere_and_what_is_still_to_come(head, vault, archive):
    archive(member_bytes=7200)  # two instances
    assert run_job("copy").state == "done"
    first, second = Copy.objects.order_by("id")
    assert (first.member, second.member) == ("CT/1.2.3/r3-1.tar", "CT/1.2.3/r3-2.tar")
    assert first.revision == second.revision == Proof.objects.get().revision == 3

    def uids(entries):
        return [entry["sop_instance_uid"] for entry in entries]

    one, two = manifest_of(vault, first), manifest_of(vault, second)
    assert uids(one["instances"]) == ["1.2.3.0", "1.2.3.1"]
    assert (uids(one["elsewhere"]), uids(one["lacking"])) == ([], ["1.2.3.2"])
    assert uids(two["instances"]) == ["1.2.3.2"]
    assert (uids(two["elsewhere"]), uids(two["lacking"])) == (["1.2.3.0", "1.2.3.1"], [])
    assert two["member"] == second.member
    assert two["study"]["patient_key"] == {"issuer": "FREJUS", "id": "42"}


def test_a_study_larger_than_a_volume_goes_to_several(head, vault):
    for number in range(3, 9):
        head.arrive(STUDY, f"1.2.3.{number}", unlike(number, 50_000))
    before = head.online(STUDY)
    job = run_job("copy")
    assert (job.state, job.instances_done, job.bytes_done) == ("done", 9, 309_000)
    assert len(set(Copy.objects.values_list("volume", flat=True))) == 2
    assert all(each.used_bytes <= each.capacity_bytes for each in vault.volumes())
    assert run_job("evict").state == run_job("recall").state == "done"
    assert head.online(STUDY) == before


def test_a_study_that_fits_is_one_member(head, vault, archive):
    archive(member_bytes=100_000)
    run_job("copy")
    assert Copy.objects.count() == 1


def test_a_part_that_proves_bad_is_written_anew_alone(head, vault, archive):
    archive(member_bytes=7200)
    run_job("copy")
    bad = Copy.objects.get(member__endswith="r3-2.tar")
    Copy.objects.filter(id=bad.id).update(bad_since=bad.written_at, verified_at=None)
    assert run_job("copy").state == "done"
    anew = Copy.objects.get(member__endswith="r3-3.tar")
    assert [row.sop_instance_uid for row in anew.contents.all()] == ["1.2.3.2"]
    assert CopiedInstance.objects.count() == 4
