"""No copy is believed, evicted or sent back but by its digest."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from archive_node.jobs import actions, dispatch, states
from archive_node.models import Copy, Hold, KnownVault, Plan, Proof, Rule
from archive_node.policy.scan import scan_all
from archive_node.steps.migrate import migrate
from archive_node.vault.tape import TapeLibrary
from pacs_common import errors
from tests.archive.conftest import STUDY, run_job, unlike


def member_file(copy: Copy) -> Path:
    return settings.ARCHIVE.vault_dir / copy.volume / copy.member


def flip_bit(copy: Copy, uid: str) -> None:
    """Flip one bit of one instance on the medium."""
    file = member_file(copy)
    content = bytearray(file.read_bytes())
    content[copy.contents.get(sop_instance_uid=uid).offset + 1000] ^= 0x10
    file.chmod(0o644)
    file.write_bytes(content)


def written_only(head) -> Copy:
    """Migrate the study, and leave before anything is verified."""
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    lease = states.claim(job.id)

    migrate(lease)
    lease.postpone("interrupted")
    type(job).objects.filter(id=job.id).update(due_at=timezone.now())
    return Copy.objects.get()


def test_a_flipped_bit_is_found_by_verify_and_the_copy_is_never_evictable(head, vault):
    copy = written_only(head)
    flip_bit(copy, "1.2.3.1")
    job = run_job("copy")
    assert job.state == "failed"
    assert job.error == (
        "the copy on A00001 (CT/1.2.3/r3-1.tar) is bad: 1.2.3.1 reads back with another digest"
    )
    copy.refresh_from_db()
    assert copy.verified_at is None and copy.bad_since is not None

    evicted = run_job("evict")
    assert evicted.state == "failed"
    assert "no instance of this study has a verified copy" in evicted.error
    assert len(head.online(STUDY)) == 3


def test_after_a_bad_copy_the_next_job_writes_a_good_one(head, vault):
    copy = written_only(head)
    flip_bit(copy, "1.2.3.1")
    run_job("copy")
    assert run_job("copy").state == "done"
    assert [row.member for row in Copy.objects.filter(bad_since=None)] == ["CT/1.2.3/r3-2.tar"]
    assert run_job("evict").state == "done"


def test_a_member_that_vanished_from_its_volume_is_a_bad_copy(head, vault):
    member_file(written_only(head)).unlink()
    job = run_job("copy")
    assert job.state == "failed" and "has no CT/1.2.3/r3-1.tar" in job.error
    assert Copy.objects.get().bad_since is not None


def test_verify_compares_with_what_the_node_says_not_with_the_catalogue(head, vault):
    copy = written_only(head)
    head.arrive(STUDY, "1.2.3.1", b"the node has other bytes now")
    assert run_job("copy").state == "failed"
    copy.refresh_from_db()
    assert copy.bad_since is not None


def test_a_node_that_sends_other_bytes_than_its_digest_is_not_copied(head, vault):
    head.studies[STUDY].instances["1.2.3.1"].file.write_bytes(unlike(7))
    job = run_job("copy")
    assert job.state == "failed"
    assert "with another digest than its own" in job.error
    assert Copy.objects.count() == 0


def test_only_verified_instances_are_named_in_a_plan(head, vault):
    run_job("copy")
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    assert run_job("evict").state == "done"
    named = {entry["sop_instance_uid"] for entry in Plan.objects.get().body["instances"]}
    assert named == {"1.2.3.0", "1.2.3.1", "1.2.3.2"}
    assert set(head.online(STUDY)) == {"1.2.3.9"}


def test_a_plan_that_the_node_calls_void_ends_its_job_and_a_retry_makes_a_new_plan(head, vault):
    run_job("copy")
    run_job("evict")
    run_job("recall")
    job, _ = dispatch.request("evict", "CT", STUDY, "rule")
    stale = Plan.objects.get()
    stale.body["plan_id"] = "11111111-1111-4111-8111-111111111111"
    Plan.objects.create(
        id=stale.body["plan_id"], job=job, node="CT", study_uid=STUDY, body=stale.body
    )  # made before the recall, left unanswered by a killed worker
    failed = run_job("evict")
    assert failed.state == "failed" and "void" in failed.error
    assert len(head.online(STUDY)) == 3

    actions.act("retry", failed.id, "archivist")
    assert run_job("evict").state == "done"
    assert head.online(STUDY) == {}


def test_an_eviction_that_the_node_refuses_altogether_fails_with_its_reason(head, vault):
    run_job("copy")
    head.in_use = {"1.2.3.0", "1.2.3.1", "1.2.3.2"}
    job = run_job("evict")
    assert (job.state, job.error) == ("failed", "CT keeps all of it: read a moment ago")
    assert len(head.online(STUDY)) == 3


def hold(**about) -> Hold:
    return Hold.objects.create(
        node="CT", study_uid=STUDY, kind="legal", reason="lawsuit", held_by="archivist", **about
    )


def test_what_is_held_is_not_evicted_until_it_is_released(head, vault):
    run_job("copy")
    held = hold()
    job = run_job("evict")
    assert (job.state, job.error) == ("failed", "held: legal (lawsuit), by archivist")
    assert len(head.online(STUDY)) == 3 and head.called("POST /api/custody/evictions") == 0
    Hold.objects.filter(id=held.id).update(released_at=timezone.now())
    assert run_job("evict").state == "done"


def test_a_rule_that_came_after_the_job_holds_too(head, vault):
    run_job("copy")
    scan_all()
    Rule.objects.create(name="keep", action="hold", conditions={"modalities": ["CT"]})
    assert run_job("evict").error == "held: rule keep"
    assert len(head.online(STUDY)) == 3


def test_a_plan_that_waited_while_its_study_was_held_is_not_sent(head, vault):
    run_job("copy")
    head.evict = lambda ticket, plan: (_ for _ in ()).throw(errors.Unavailable("restarting"))
    waiting = run_job("evict")
    del head.evict
    assert Plan.objects.get().answer is None
    hold()
    type(waiting).objects.update(due_at=timezone.now())
    assert run_job("evict").error == "held: legal (lawsuit), by archivist"
    assert len(head.online(STUDY)) == 3


def test_a_hold_on_another_study_or_node_keeps_nothing(head, vault):
    run_job("copy")
    Hold.objects.create(node="RF", study_uid=STUDY, kind="legal", reason="-", held_by="-")
    Hold.objects.create(node="CT", study_uid="1.2.4", kind="legal", reason="-", held_by="-")
    assert run_job("evict").state == "done"


def test_nothing_is_evicted_by_volumes_that_the_vault_has_lost(head, vault):
    run_job("copy")
    (settings.ARCHIVE.vault_dir / "A00001").rename(settings.ARCHIVE.vault_dir / "lost")
    assert run_job("evict").state == "failed"
    assert len(head.online(STUDY)) == 3


def test_recall_refuses_wrong_bytes_and_brings_the_rest(head, vault):
    run_job("copy")
    run_job("evict")
    flip_bit(Copy.objects.get(), "1.2.3.1")
    job = run_job("recall")
    assert job.state == "failed"
    assert job.error == "1.2.3.1 on A00001: its bytes are not those that were verified"
    assert set(head.online(STUDY)) == {"1.2.3.0", "1.2.3.2"}
    assert head.called("PUT") == 2  # the wrong bytes were never sent
    assert Copy.objects.get().bad_since is not None
    assert not Proof.objects.exists()


def test_a_recall_without_a_verified_copy_says_so(head, vault):
    run_job("copy")
    run_job("evict")
    Copy.objects.update(verified_at=None)
    job = run_job("recall")
    assert job.state == "failed"
    assert job.error == "3 of 3 instances have no verified copy, the first is 1.2.3.0"


def test_a_copy_job_names_what_is_neither_here_nor_on_the_node(head, vault):
    run_job("copy")
    run_job("evict")
    Copy.objects.all().delete()
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    job = run_job("copy")
    assert job.state == "failed"
    assert job.error.startswith("3 instances are neither on the node nor in a good copy here")
    assert Copy.objects.get().verified_at is not None  # the late one is safe all the same


def test_a_study_larger_than_a_volume_is_refused_in_a_clear_line(head, vault):
    head.arrive(STUDY, "1.2.3.9", b"x" * 250_000)
    job = run_job("copy")
    assert job.state == "failed"
    assert "do not fit on a volume of 200.0 kB" in job.error
    assert head.called("GET /api/custody/studies/1.2.3/instances") == 0  # not even fetched
    assert [volume.state for volume in vault.volumes()] == ["scratch"]


def test_a_study_that_does_not_fit_the_filling_volume_goes_to_the_next(head, vault):
    for number in range(3):
        head.arrive(f"5.{number}", f"5.{number}.1", unlike(number, 80_000))
        assert run_job("copy", f"5.{number}").state == "done"
    assert list(Copy.objects.order_by("id").values_list("volume", flat=True)) == [
        "A00001", "A00001", "A00002",
    ]  # fmt: skip
    assert [volume.state for volume in vault.volumes()] == ["full", "filling"]


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2/3", "1..2"])
def test_a_uid_that_could_be_a_path_is_refused(head, vault, uid):
    head.arrive(STUDY, "1.2.3.9", b"x")
    head.studies[STUDY].instances["1.2.3.9"].uid = uid
    job = run_job("copy")
    assert job.state == "failed" and "is not digits and dots" in job.error


def test_a_vault_that_vanished_is_refused_and_not_made_anew(head, vault, archive, tmp_path):
    archive(vault_dir=tmp_path / "empty mount point")
    job = run_job("copy")
    assert job.state == "queued" and "holds no tape library" in job.error
    assert not (tmp_path / "empty mount point").exists()


def test_another_library_in_the_place_of_the_known_one_is_refused(head, vault, archive, tmp_path):
    TapeLibrary.create(tmp_path / "other", name="vault-1", drives=1, volume_bytes=200_000)
    archive(vault_dir=tmp_path / "other")
    job = run_job("copy")
    assert job.state == "queued" and "is another vault" in job.error
    assert KnownVault.objects.get().library_id == vault.library_id


def test_the_node_is_told_of_every_copy_that_was_proven(head, vault):
    assert run_job("copy").state == "done"
    kept = head.studies[STUDY].instances.values()
    assert head.receipts == {one.uid: one.stored_sha256 for one in kept}


def test_the_node_is_told_of_no_copy_that_is_bad(head, vault):
    flip_bit(written_only(head), "1.2.3.1")
    run_job("copy")
    assert head.receipts == {}
