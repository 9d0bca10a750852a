"""The catalogue is lost, and read back from the volumes (`manage.py archive rebuild-catalogue`)."""

from __future__ import annotations

import errno
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from archive_node import library
from archive_node.jobs import dispatch, runner
from archive_node.models import CopiedInstance, Copy, Job, KnownVault, Plan, Proof, StudyFacts
from archive_node.policy.scan import scan_all
from archive_node.vault.base import Volume, VolumeState
from archive_node.vault.tape import TapeLibrary, TapeVolume
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.test_proof import flip_bit

pytestmark = pytest.mark.slow

KEYS = {"2026": bytes(range(32))}
OWN = {
    Copy: ("id", "verified_at"),
    CopiedInstance: ("id", "copy_id"),
    Proof: ("id",),
    KnownVault: ("first_seen_at",),
}
# what only a scan of the node tells
SEEN = (
    "is_proven",
    "id",
    "seen_at",
    "first_seen_at",
    "recalled_at",
    "last_access_at",
    "online",
    "online_bytes",
)


def rebuild(*options: str) -> str:
    said = StringIO()
    call_command("rebuild-catalogue", *options, stdout=said, stderr=said)
    return said.getvalue()


def lose_the_catalogue() -> None:
    for model in (Plan, Job, Copy, Proof, StudyFacts, KnownVault):
        model.objects.all().delete()


def rows() -> dict[str, list[str]]:
    """Return every row of the catalogue but for its ids and moments of proof."""
    found = {}
    for model, left_out in OWN.items():
        names = [f.attname for f in model._meta.fields if f.attname not in left_out]
        extra = ["copy__vault", "copy__member"] if model is CopiedInstance else []
        found[model.__name__] = sorted(map(repr, model.objects.values_list(*names, *extra)))
    return found


def facts() -> list[dict]:
    names = [f.attname for f in StudyFacts._meta.fields if f.attname not in SEEN]
    return list(StudyFacts.objects.order_by("study_uid").values(*names))


@pytest.fixture
def kept(head, archive, tmp_path):
    """Two vaults, one encrypted, that hold studies in parts, a late instance, and records alone."""
    archive(
        vaults_written={
            "onsite": f"tape:{tmp_path / 'vault'}",
            "offsite": f"tape:{tmp_path / 'offsite'}?key=2026",
        },
        keys=dict(KEYS),
        member_bytes=8000,
    )
    for number in range(3):
        head.arrive("1.2.4", f"1.2.4.{number}", unlike(number + 20))
    copy_everything()
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    head.studies["1.2.4"].journal.append({"at": "2026-11-28T10:00:00+00:00", "kind": "corrected"})
    head.studies["1.2.4"].revision += 1
    copy_everything()
    scan_all()
    Job.objects.all().delete()
    return head


def copy_everything() -> None:
    for study_uid in (STUDY, "1.2.4"):
        for vault in library.specs():
            job, _ = dispatch.request("copy", "CT", study_uid, "rule", vault=vault)
            runner.run(job.id)
            job.refresh_from_db()
            assert (job.state, job.error) == ("done", "")


def test_a_lost_catalogue_is_read_back_equal(kept):
    before, told = rows(), facts()
    assert len(before["Copy"]) == 12 and len(before["Proof"]) == 4
    lose_the_catalogue()
    said = rebuild("--prove")
    assert "onsite: 1 volumes, 6 members read, 6 added, 6 proven" in said
    assert rows() == before
    assert facts() == told
    assert not Copy.objects.filter(verified_at=None).exists()


def test_evict_and_recall_go_on_as_if_nothing_had_happened(kept):
    before = kept.online(STUDY)
    lose_the_catalogue()
    rebuild("--prove")
    assert run_job("evict").state == "done"
    assert kept.online(STUDY) == {}
    Copy.objects.filter(vault="offsite").delete()
    assert run_job("recall").state == "done"
    assert kept.online(STUDY) == before


def test_what_is_not_read_whole_counts_as_unverified_until_a_copy_job_has(kept):
    lose_the_catalogue()
    assert "no copy counts as verified" in rebuild()
    assert not Copy.objects.exclude(verified_at=None).exists()
    assert not Proof.objects.exists()
    assert run_job("evict").state == "failed"
    copy_everything()
    assert not Copy.objects.filter(verified_at=None).exists()
    assert Copy.objects.count() == 12  # nothing was written anew
    assert run_job("evict").state == "done"


def test_a_catalogue_that_is_there_is_left_alone_unless_it_is_asked_for(kept):
    with pytest.raises(CommandError, match="--again adds what is missing"):
        rebuild()
    before = rows()
    Copy.objects.filter(vault="onsite", study_uid=STUDY).delete()
    assert "3 added" in rebuild("--again", "--prove")
    assert rows() == before
    assert "onsite: 1 volumes, 6 members read, 0 added" in rebuild("--again")


def test_one_vault_alone_is_read_back(kept):
    lose_the_catalogue()
    rebuild("--vault", "offsite")
    assert {copy.vault for copy in Copy.objects.all()} == {"offsite"}
    with pytest.raises(CommandError, match="has no vault elsewhere"):
        rebuild("--vault", "elsewhere")


def test_a_flipped_bit_is_found_while_proving(kept):
    flip_bit(Copy.objects.get(vault="onsite", member="CT/1.2.3/r3-1.tar"), "1.2.3.1")
    lose_the_catalogue()
    with pytest.raises(CommandError, match="1 things could not be read"):
        rebuild("--prove")
    bad = Copy.objects.get(verified_at=None)
    assert (bad.vault, bad.member, bad.bad_since is not None) == (
        "onsite", "CT/1.2.3/r3-1.tar", True,
    )  # fmt: skip
    assert {proof.vault for proof in Proof.objects.filter(study_uid=STUDY)} == {"offsite"}


def test_what_is_no_member_any_more_is_named_and_the_rest_is_read(kept, tmp_path):
    member = tmp_path / "vault" / "A00001" / "CT/1.2.3/r3-1.tar"
    member.chmod(0o644)
    member.write_bytes(b"\0" * member.stat().st_size)
    lose_the_catalogue()
    said = StringIO()
    with pytest.raises(CommandError):
        call_command("rebuild-catalogue", stdout=said, stderr=said)
    assert "onsite: CT/1.2.3/r3-1.tar on A00001 cannot be read" in said.getvalue()
    assert Copy.objects.count() == 11


def test_without_its_key_a_volume_is_named_as_unread(kept, archive):
    archive(keys={"2026": bytes(32)})
    lose_the_catalogue()
    with pytest.raises(CommandError):
        rebuild("--vault", "offsite")
    assert not Copy.objects.exists()


def test_a_volume_on_the_shelf_is_named(kept, monkeypatch):
    real = TapeLibrary.volumes
    monkeypatch.setattr(
        TapeLibrary,
        "volumes",
        lambda tape: [
            Volume(each.label, VolumeState.EXPORTED, each.used_bytes, each.capacity_bytes)
            for each in real(tape)
        ],
    )
    lose_the_catalogue()
    said = StringIO()
    with pytest.raises(CommandError):
        call_command("rebuild-catalogue", stdout=said, stderr=said)
    assert "onsite: volume A00001 lies on the shelf, and was not read" in said.getvalue()


def test_a_medium_that_fails_is_named_and_the_other_vault_is_read(kept, monkeypatch):
    real = TapeVolume.open

    def failing(volume, member):
        if volume._folder.parent.name == "vault":
            raise OSError(errno.EIO, "Input/output error")
        return real(volume, member)

    monkeypatch.setattr(TapeVolume, "open", failing)
    lose_the_catalogue()
    said = StringIO()
    with pytest.raises(CommandError):
        call_command("rebuild-catalogue", stdout=said, stderr=said)
    assert "volume A00001 of onsite: Input/output error" in said.getvalue()
    assert {copy.vault for copy in Copy.objects.all()} == {"offsite"}


def test_the_vault_that_is_found_is_adopted_and_named(kept):
    """A catalogue that was lost may have been begun anew with another library."""
    found = library.vault("onsite").library_id
    lose_the_catalogue()
    KnownVault.objects.create(name="onsite", library_id="another")
    said = rebuild("--vault", "onsite")
    assert f"onsite is now the library {found}, not another any more" in said
    assert KnownVault.objects.get(name="onsite").library_id == found


def test_no_vault_is_made_where_there_is_none(kept, archive, tmp_path):
    lose_the_catalogue()
    archive(vaults_written={"onsite": f"tape:{tmp_path / 'empty mount point'}"})
    with pytest.raises(CommandError, match="holds no tape library"):
        rebuild()
    assert not (tmp_path / "empty mount point").exists()
    assert not KnownVault.objects.exists()


def test_what_a_scan_saw_stands_above_what_a_volume_tells(kept):
    Copy.objects.all().delete()
    StudyFacts.objects.filter(study_uid=STUDY).update(description="as seen")
    rebuild("--prove")
    assert StudyFacts.objects.get(study_uid=STUDY).description == "as seen"


def test_what_waits_in_quarantine_is_counted(kept):
    for number in (1, 2):
        kept.hold_back(STUDY, f"1.2.3.{number}", unlike(50 + number))
    copy_everything()
    lose_the_catalogue()
    rebuild()
    assert StudyFacts.objects.get(study_uid=STUDY).quarantined == 2


def test_a_retired_volume_is_not_read(kept, monkeypatch):
    real = TapeLibrary.volumes
    monkeypatch.setattr(
        TapeLibrary,
        "volumes",
        lambda tape: [
            Volume(each.label, VolumeState.RETIRED, each.used_bytes, each.capacity_bytes)
            for each in real(tape)
        ],
    )
    lose_the_catalogue()
    assert "volume A00001 is retired, and not read" in rebuild()
    assert not Copy.objects.exists()


def test_the_rows_of_some_members_are_few_statements(kept, django_assert_max_num_queries):
    lose_the_catalogue()
    with django_assert_max_num_queries(40):  # of twelve members
        rebuild()
    assert Copy.objects.count() == 12
