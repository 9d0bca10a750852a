"""What a node holds back in quarantine is archived like all else (custody rule 5)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from archive_node import library
from archive_node.models import Alarm, CopiedInstance, Copy, Job, Proof, StudyFacts
from archive_node.policy.scan import scan_all
from archive_node.steps.scrub import NO_GOOD_COPY
from archive_node.vault import volume
from archive_node.vault.base import VolumeState
from pacs_common import errors
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.node_stand_in import NodeStandIn, serving, sha256
from tests.archive.test_evacuate import evacuate
from tests.archive.test_rebuild import facts, lose_the_catalogue, rebuild, rows
from tests.archive.test_restore_node import PLENTY, restore
from tests.archive.test_scrub import scrub
from tests.archive.vaults import member_file, state_of

pytestmark = pytest.mark.slow

ONE = "1.2.3.1"
ALONE = "1.2.9"  # a study of which nothing is stored
OTHER = unlike(41)
KEYS = {"2026": bytes(range(32))}
both_kinds = pytest.mark.parametrize("key", ["", "?key=2026"], ids=["in clear", "encrypted"])


@pytest.fixture
def held(head, archive, tmp_path: Path) -> NodeStandIn:
    """The node, with an object of a stored UID in quarantine."""
    archive(vaults_written={"vault-1": f"tape:{tmp_path / 'vault'}"})
    head.hold_back(STUDY, ONE, OTHER, detail="stored abc, came def")
    return head


@pytest.fixture
def new(archive, held, tmp_path: Path) -> Iterator[NodeStandIn]:
    """An empty node under the same name, to which `restore` goes once the archive knows it."""
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        yield served


def encrypted(archive, tmp_path: Path, key: str) -> None:
    written = {"vault-1": f"tape:{tmp_path / 'vault'}{key}"}
    archive(vaults_written=written, keys=dict(KEYS) if key else {})


def manifest_of(copy: Copy) -> dict:
    with member_file(copy).open("rb") as file:
        return volume.read_manifest(file, copy.member, settings.ARCHIVE.keys)


def copied(study_uid: str = STUDY) -> Copy:
    """Copy a study, by the job that a scan made where it did; return its newest member."""
    job = run_job("copy", study_uid)
    assert (job.state, job.error) == ("done", "")
    return Copy.objects.filter(study_uid=study_uid).latest("id")


def held_back() -> CopiedInstance:
    return CopiedInstance.objects.get(quarantined=True, copy__bad_since=None)


@both_kinds
def test_it_is_copied_beside_the_instance_whose_uid_it_shares(held, archive, tmp_path, key):
    encrypted(archive, tmp_path, key)
    copy = copied()
    assert (copy.instances, copy.contents.filter(sop_instance_uid=ONE).count()) == (4, 2)
    row = held_back()
    assert (row.sop_instance_uid, row.stored_sha256) == (ONE, sha256(OTHER))
    about = manifest_of(copy)
    (entry,) = about["quarantine"]
    assert entry["path"] == f"quarantine/{sha256(OTHER)}.dcm"
    assert (entry["sop_instance_uid"], entry["reason"]) == (ONE, "same-uid")
    assert len(about["instances"]) == about["study"]["instances"] == 3
    assert Proof.objects.get().revision == held.studies[STUDY].revision


def test_real_tar_and_sha256sum_bring_it_back(held, tmp_path):
    copy = copied()
    out = tmp_path / "recovered"
    out.mkdir()
    subprocess.run(["tar", "-xf", member_file(copy), "-C", out], check=True)
    proof = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=True
    )
    assert proof.stdout.count(": OK") == 5
    (file,) = (out / "quarantine").iterdir()
    assert file.read_bytes() == OTHER


def test_one_that_comes_later_is_a_delta_and_its_decision_a_revision(head, vault):
    copied()
    one = head.hold_back(STUDY, ONE, OTHER)
    scan_all()
    assert Job.objects.filter(kind="copy", state="queued").count() == 1
    late = copied()
    assert [row.quarantined for row in late.contents.all()] == [True]
    head.keep(STUDY, one)
    decided = copied()
    about = manifest_of(decided)
    assert (decided.instances, about["instances"], about["quarantine"]) == (0, [], [])
    assert about["journal"][-1]["kind"] == "quarantine-kept"
    assert about["study"]["quarantine"][0]["decision"] == "kept"
    (elsewhere,) = [each for each in about["elsewhere"] if "path" in each]
    assert (elsewhere["member"], elsewhere["path"]) == (
        late.member,
        f"quarantine/{sha256(OTHER)}.dcm",
    )


def test_one_that_takes_the_stored_ones_place_is_not_written_again(held):
    copied()
    held.take(STUDY, held.studies[STUDY].quarantine[0])
    assert copied().instances == 0
    assert Proof.objects.get().revision == held.studies[STUDY].revision
    assert run_job("evict").state == "done"
    assert held.online(STUDY) == {}
    assert run_job("recall").state == "done"
    assert held.online(STUDY)[ONE] == OTHER
    assert len(held.held_back(STUDY)) == 1


def test_eviction_leaves_the_quarantine_alone(held):
    copied()
    assert run_job("evict").state == "done"
    assert held.online(STUDY) == {}
    assert list(held.held_back(STUDY).values()) == [OTHER]


def test_a_study_of_which_nothing_else_is_there_is_copied(head, vault):
    head.hold_back(ALONE, ONE, OTHER)
    scan_all()
    assert Job.objects.filter(kind="copy", study_uid=ALONE, state="queued").exists()
    copy = copied(ALONE)
    assert [row.quarantined for row in copy.contents.all()] == [True]
    scan_all()
    assert StudyFacts.objects.get(study_uid=ALONE).is_proven


def test_one_that_comes_to_an_evicted_study_is_copied(head, vault):
    copied()
    assert run_job("evict").state == "done"
    head.hold_back(STUDY, ONE, OTHER)
    scan_all()
    assert Job.objects.filter(kind="copy", study_uid=STUDY, state="queued").exists()
    assert [row.quarantined for row in copied().contents.all()] == [True]


def test_one_that_is_decided_about_as_it_is_fetched_is_asked_for_anew(held, monkeypatch):
    one = held.studies[STUDY].quarantine[0]
    monkeypatch.setattr(type(one), "received_sha256", property(lambda self: "0" * 64))
    monkeypatch.setattr(type(one), "as_json", lambda self: told)
    told = {**one.__dict__, "received_sha256": "1" * 64, "arrived_at": one.arrived_at.isoformat()}
    told.pop("file")
    job = run_job("copy")
    assert job.state == "queued" and "left the quarantine of CT" in job.error
    assert not Copy.objects.exists()


def test_a_node_that_sends_other_bytes_is_not_believed(held):
    held.studies[STUDY].quarantine[0].file.write_bytes(unlike(42))
    job = run_job("copy")
    assert job.state != "done" and "another digest" in job.error
    assert not CopiedInstance.objects.filter(quarantined=True).exists()


@pytest.mark.parametrize("told", ["../../../etc/passwd", "A" * 64, ""])
def test_a_digest_that_is_none_names_no_file(held, monkeypatch, told):
    one = held.studies[STUDY].quarantine[0]
    one.stored_sha256 = told
    job = run_job("copy")
    assert job.state != "done" and "cannot be read" in job.error
    assert not Copy.objects.exists()


def flip(row: CopiedInstance) -> None:
    with member_file(row.copy).open("r+b") as file:
        file.seek(row.offset + 60)
        (byte,) = file.read(1)
        file.seek(row.offset + 60)
        file.write(bytes([byte ^ 1]))


@both_kinds
def test_verifying_proves_it_too(held, archive, tmp_path, key):
    encrypted(archive, tmp_path, key)
    copied()
    flip(held_back())
    Copy.objects.update(verified_at=None)
    job = run_job("copy")
    assert job.state != "done"
    assert Copy.objects.get().bad_since is not None


@both_kinds
def test_a_scrub_reads_it_again_and_has_it_written_anew(held, archive, tmp_path, key):
    encrypted(archive, tmp_path, key)
    copied()
    flip(held_back())
    assert scrub().state == "done"
    assert Job.objects.filter(kind="copy", state="queued").exists()
    assert not Alarm.objects.filter(kind=NO_GOOD_COPY).exists()  # the node has it
    assert copied().contents.filter(quarantined=True).exists()
    assert held_back()


@both_kinds
def test_an_evacuation_brings_it(held, archive, tmp_path, key):
    encrypted(archive, tmp_path, key)
    copied()
    job = evacuate()
    if key:  # it is written anew by a copy job
        assert copied().volume != "A00001"
        job = Job.objects.get(id=job.id)
        Job.objects.update(due_at=job.created_at)
        job = evacuate()
    assert (job.state, job.error) == ("done", "")
    assert state_of(library.vault("vault-1"), "A00001") == VolumeState.RETIRED
    row = held_back()
    assert row.copy.volume != "A00001" and row.stored_sha256 == sha256(OTHER)


@both_kinds
def test_the_catalogue_is_read_back_with_it(held, archive, tmp_path, key):
    encrypted(archive, tmp_path, key)
    copied()
    held.keep(STUDY, held.studies[STUDY].quarantine[0])
    copied()
    scan_all()
    before, known = rows(), facts()
    lose_the_catalogue()
    rebuild("--prove")
    assert (rows(), facts()) == (before, known)
    assert held_back().copy.verified_at is not None


@both_kinds
def test_an_empty_node_gets_it_back_into_quarantine(held, new, archive, tmp_path, capsys, key):
    encrypted(archive, tmp_path, key)
    held.hold_back(STUDY, "1.2.3.77", unlike(43), reason="other-patient")
    held.hold_back(ALONE, ONE, unlike(44))
    held.keep(STUDY, held.studies[STUDY].quarantine[0])
    for uid in (STUDY, ALONE):
        copied(uid)
    assert run_job("evict").state == "done"
    archive(nodes={"CT": new.url})
    out = restore(capsys)
    assert "2 studies restored of 2 in the vaults" in out
    assert "3 objects lie in quarantine again" in out
    for uid in (STUDY, ALONE):
        assert new.held_back(uid) == held.held_back(uid)
    assert new.studies[STUDY].quarantine[0].detail == "stored abc, came def"
    assert new.online(STUDY) == {} and len(new.studies[STUDY].instances) == 3
    assert "quarantine-kept" in [record["kind"] for record in new.studies[STUDY].journal]
    new.calls.clear()
    assert "0 studies restored of 2 in the vaults; 2 were whole already" in restore(capsys)
    assert not [call for call in new.calls if "/restore/" in call]


def test_what_changed_places_is_where_it_was_last(held, new, archive, capsys):
    """Though its bytes lie on the volume where they were first written."""
    copied()
    left = held.take(STUDY, held.studies[STUDY].quarantine[0])
    copied()
    archive(nodes={"CT": new.url})
    restore(capsys)
    assert new.online(STUDY)[ONE] == OTHER
    assert list(new.held_back(STUDY).values()) == [left.file.read_bytes()] == [unlike(1)]


def test_where_the_newest_records_are_lost_it_is_in_quarantine_all_the_same(
    held, new, archive, capsys
):
    copied()
    held.hold_back(STUDY, ONE, unlike(45))
    copied()
    held.keep(STUDY, held.studies[STUDY].quarantine[0])
    member_file(copied()).unlink()
    archive(nodes={"CT": new.url})
    assert "its newest records" in restore(capsys, code=1)
    assert new.online(STUDY) == held.online(STUDY)
    assert new.held_back(STUDY).keys() == held.held_back(STUDY).keys()
    assert len(new.studies[STUDY].quarantine) == 2


def test_an_older_node_that_lists_none_is_copied_as_ever(head, vault):
    head.lists_quarantine = False
    copy = copied()
    assert (copy.instances, manifest_of(copy)["quarantine"]) == (3, [])


def test_the_command_line_names_one_that_a_full_disk_kept_out(held, new, archive, capsys):
    copied()
    archive(nodes={"CT": new.url})

    def full(*about):
        raise errors.DiskFull("no room")

    new.restore_quarantined = full
    out = restore(capsys, code=1)
    assert "no room" in out and len(new.online(STUDY)) == 3
