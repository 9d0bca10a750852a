"""What a node has no more is copied from a good copy in any vault, the best one first."""

from __future__ import annotations

import errno

import pytest
from django.conf import settings
from django.utils import timezone

from archive_node import library
from archive_node.jobs import dispatch, states
from archive_node.models import Copy, Plan, Proof
from archive_node.steps.migrate import migrate
from archive_node.steps.verify import verify
from archive_node.vault.base import MediumFailed, NeedsOperator, Volume, VolumeState
from archive_node.vault.tape import TapeLibrary, TapeVolume
from pacs_common.node_client import NodeClient
from tests.archive.conftest import STUDY, unlike
from tests.archive.test_proof import flip_bit as flip_bit_of_the_first_vault


@pytest.fixture
def two_vaults(head, archive, tmp_path):
    """The node with one study, and two vaults, of which the second is not required yet."""
    written = {
        "onsite": f"tape:{tmp_path / 'onsite'}",
        "offsite": f"tape:{tmp_path / 'offsite'}?required=no",
    }
    archive(vaults_written=written, vault_dir=tmp_path / "onsite")
    return head


def copied_to(vault: str, study_uid: str = STUDY):
    job, _ = dispatch.request("copy", "CT", study_uid, "archivist", vault=vault)
    return run(job)


def run(job):
    from archive_node.jobs import runner

    runner.run(job.id)
    job.refresh_from_db()
    return job


def evicted(study_uid: str = STUDY):
    return run(dispatch.request("evict", "CT", study_uid, "archivist")[0])


def recalled(study_uid: str = STUDY):
    return run(dispatch.request("recall", "CT", study_uid, "archivist")[0])


def marked(monkeypatch, **states: VolumeState):
    """Let volumes be in states that were decided of them; a library keeps them by itself."""
    known = TapeLibrary.volumes

    def volumes(tape):
        return [
            Volume(
                each.label,
                states.get(tape.name, each.state),
                each.used_bytes,
                each.capacity_bytes,
                each.drive,
            )
            for each in known(tape)
        ]

    monkeypatch.setattr(TapeLibrary, "volumes", volumes)


def test_a_second_vault_gets_what_the_node_evicted_long_ago(two_vaults):
    before = two_vaults.online(STUDY)
    assert copied_to("onsite").state == evicted().state == "done"
    assert two_vaults.online(STUDY) == {}
    two_vaults.calls.clear()
    assert copied_to("offsite").state == "done"
    assert two_vaults.called(f"GET /api/custody/studies/{STUDY}/instances") == 0
    assert {proof.vault for proof in Proof.objects.all()} == {"onsite", "offsite"}

    Copy.objects.filter(vault="onsite").delete()
    assert recalled().state == "done"
    assert two_vaults.online(STUDY) == before


def test_what_is_online_and_what_is_not_come_together(two_vaults):
    copied_to("onsite")
    two_vaults.in_use = {"1.2.3.1"}
    assert evicted().state == "done"
    two_vaults.arrive(STUDY, "1.2.3.9", unlike(9))
    assert copied_to("offsite").state == "done"
    copy = Copy.objects.get(vault="offsite")
    assert [row.sop_instance_uid for row in copy.contents.order_by("offset")] == [
        "1.2.3.0", "1.2.3.1", "1.2.3.2", "1.2.3.9",
    ]  # fmt: skip


def test_a_bad_copy_is_replaced_from_another_vault(two_vaults):
    copied_to("onsite")
    copied_to("offsite")
    evicted()
    flip_bit_of_the_first_vault(Copy.objects.get(vault="onsite"), "1.2.3.1")
    Copy.objects.filter(vault="onsite").update(bad_since=timezone.now(), verified_at=None)
    assert copied_to("onsite").state == "done"
    anew = Copy.objects.get(vault="onsite", bad_since=None)
    assert (anew.member, anew.instances) == ("CT/1.2.3/r3-2.tar", 3)
    assert anew.verified_at is not None


def test_a_source_that_proves_bad_is_marked_and_another_is_used(two_vaults, archive, tmp_path):
    written = dict(settings.ARCHIVE.vaults_written) | {
        "third": f"tape:{tmp_path / 'third'}?required=no"
    }
    archive(vaults_written=written)
    for vault in ("offsite", "onsite"):
        copied_to(vault)
    evicted()
    flip_bit_of_the_first_vault(Copy.objects.get(vault="onsite"), "1.2.3.1")
    assert copied_to("third").state == "done"
    assert Copy.objects.get(vault="third").instances == 3
    assert Copy.objects.get(vault="onsite").bad_since is not None
    assert Copy.objects.get(vault="offsite").bad_since is None


def test_what_nobody_has_is_named_and_the_rest_is_safe(two_vaults):
    copied_to("onsite")
    evicted()
    flip_bit_of_the_first_vault(Copy.objects.get(vault="onsite"), "1.2.3.1")
    job = copied_to("offsite")
    assert job.state == "failed"
    assert job.error == (
        "1 instances are neither on the node nor in a good copy here, the first is 1.2.3.1"
    )
    held = Copy.objects.get(vault="offsite", bad_since=None)
    assert sorted(row.sop_instance_uid for row in held.contents.all()) == ["1.2.3.0", "1.2.3.2"]


def test_copies_on_a_suspect_volume_are_written_anew_in_the_same_vault(two_vaults, monkeypatch):
    """Evacuation: the suspect volume itself is the source, where there is no other."""
    copied_to("onsite")
    evicted()
    library.vault("onsite").append("CT/9/r1-1.tar", 5, lambda file: file.write(b"bytes"))
    moved = settings.ARCHIVE.vault_dir / "A00001" / "FULL"
    moved.write_text('{"used_bytes": 20480}')
    real = TapeLibrary.volumes
    monkeypatch.setattr(
        TapeLibrary,
        "volumes",
        lambda tape: [
            Volume(each.label, VolumeState.SUSPECT, each.used_bytes, each.capacity_bytes)
            if each.label == "A00001"
            else each
            for each in real(tape)
        ],
    )
    assert copied_to("onsite").state == "done"
    assert list(Copy.objects.order_by("id").values_list("volume", flat=True)) == [
        "A00001", "A00002",
    ]  # fmt: skip


def test_the_copy_on_a_suspect_volume_is_the_last_that_is_read(
    two_vaults, archive, tmp_path, monkeypatch
):
    archive(
        vaults_written=dict(settings.ARCHIVE.vaults_written)
        | {"third": f"tape:{tmp_path / 'third'}?required=no"}
    )
    copied_to("offsite")
    copied_to("onsite")  # the newest, which is tried first among equals
    evicted()
    marked(monkeypatch, onsite=VolumeState.SUSPECT)
    opened = []
    real = TapeVolume.open
    monkeypatch.setattr(
        TapeVolume,
        "open",
        lambda of, member: (opened.append(of._folder.parent.name), real(of, member))[1],
    )
    assert copied_to("third").state == "done"
    assert "onsite" not in opened and "offsite" in opened


def test_a_copy_on_a_suspect_volume_frees_nothing(two_vaults, monkeypatch):
    copied_to("onsite")
    marked(monkeypatch, onsite=VolumeState.SUSPECT)
    job = evicted()
    assert job.state == "failed"
    assert len(two_vaults.online(STUDY)) == 3


def test_a_receipt_names_all_copies_and_an_absent_vault_that_is_not_required_none(
    two_vaults, archive, tmp_path
):
    copied_to("onsite")
    copied_to("offsite")
    two_vaults.in_use = {"1.2.3.1"}
    evicted()
    two_vaults.in_use = set()
    named = Plan.objects.get().body["instances"][0]["copies"]
    assert sorted(copy["vault"] for copy in named) == ["offsite", "onsite"]
    (tmp_path / "offsite").rename(tmp_path / "away")
    assert evicted().state == "done"
    named = Plan.objects.order_by("-created_at").first().body["instances"][0]["copies"]
    assert [copy["vault"] for copy in named] == ["onsite"]


def failing(monkeypatch, number: int) -> None:
    def read(volume, member):
        raise OSError(number, "Input/output error")

    monkeypatch.setattr(TapeVolume, "open", read)  # the medium's own failure


def claimed(vault: str):
    job, _ = dispatch.request("copy", "CT", STUDY, "archivist", vault=vault)
    return states.claim(job.id)


def test_an_input_output_error_condemns_no_copy(two_vaults, monkeypatch):
    lease = claimed("onsite")
    migrate(lease)
    failing(monkeypatch, errno.EIO)
    with pytest.raises(MediumFailed, match="volume A00001 of onsite: Input/output error") as failed:
        verify(lease)
    assert (failed.value.vault, failed.value.label) == ("onsite", "A00001")
    assert Copy.objects.get().bad_since is None


def test_a_full_disk_of_ours_is_not_a_failed_medium(two_vaults, monkeypatch):
    lease = claimed("onsite")
    migrate(lease)
    failing(monkeypatch, errno.ENOSPC)
    with pytest.raises(OSError) as failed:
        verify(lease)
    assert failed.value.errno == errno.ENOSPC


def test_a_source_on_the_shelf_is_asked_for_where_there_is_no_other(two_vaults, monkeypatch):
    copied_to("onsite")
    evicted()
    lease = claimed("offsite")
    real = TapeLibrary.warm

    def on_the_shelf(tape, label, *waiting):
        if tape.name == "onsite":
            raise NeedsOperator("onsite", label)
        return real(tape, label, *waiting)

    monkeypatch.setattr(TapeLibrary, "warm", on_the_shelf)
    with pytest.raises(NeedsOperator, match="volume A00001 of onsite lies on the shelf"):
        migrate(lease)
    assert not Copy.objects.filter(vault="offsite").exists()


def test_many_instances_come_in_one_answer(two_vaults):
    for number in range(3, 103):
        two_vaults.arrive(STUDY, f"1.2.3.{number}", unlike(number, 700))
    assert copied_to("onsite").state == "done"
    assert two_vaults.called(f"GET /api/custody/studies/{STUDY}/files") == 3


def test_a_node_that_gives_files_one_by_one_alone_is_copied_so(two_vaults):
    two_vaults.gives_many = False
    assert copied_to("onsite").state == "done"
    assert two_vaults.called(f"GET /api/custody/studies/{STUDY}/files") == 1
    assert two_vaults.called(f"GET /api/custody/studies/{STUDY}/instances") == 3


def test_files_in_another_order_than_they_were_asked_for_are_not_taken(two_vaults, monkeypatch):
    ask = NodeClient.files
    monkeypatch.setattr(
        NodeClient, "files", lambda client, study, uids: ask(client, study, uids[::-1])
    )
    job = copied_to("onsite")
    assert job.state == "queued" and "instead of 1.2.3.0" in job.error
    assert Copy.objects.count() == 0


def test_what_is_not_spooled_never_touches_our_disk(two_vaults):
    copied_to("onsite")
    assert not settings.ARCHIVE.staging_dir.exists()


def test_what_is_spooled_is_whole_before_a_drive_is_asked_for(two_vaults, monkeypatch):
    monkeypatch.setattr(TapeLibrary, "spools", True)
    seen = []
    real = TapeLibrary.append

    def append(tape, *about):
        seen.append(sorted(path.name for path in settings.ARCHIVE.staging_dir.rglob("*.dcm")))
        return real(tape, *about)

    monkeypatch.setattr(TapeLibrary, "append", append)
    assert copied_to("onsite").state == "done"
    (names,) = seen
    assert [name.split("-")[0] for name in names] == ["1.2.3.0", "1.2.3.1", "1.2.3.2"]
