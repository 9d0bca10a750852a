"""A volume's copies are brought onto new media, proven there, and only then is it retired."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from archive_node import alarms, library
from archive_node.jobs import dispatch, runner
from archive_node.models import Alarm, CopiedInstance, Copy, Job, Proof
from archive_node.steps import evacuate as evacuating
from archive_node.vault.base import VolumeState
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.test_crashes import killed_at, taken_up_again
from tests.archive.vaults import (
    copied,
    flip_a_bit,
    marked,
    member_file,
    state_of,
    torn,
    two_vaults,
)

pytestmark = pytest.mark.slow

OTHER = "1.2.4"


@pytest.fixture
def copies(head, vault) -> tuple[Copy, Copy]:
    """Two studies on one volume, one of them evicted; skipped where volumes keep no marks."""
    marked(vault, "A00001", VolumeState.SUSPECT)
    vault.mark("A00001", None)
    for number in range(3):
        head.arrive(OTHER, f"{OTHER}.{number}", unlike(number + 10))
    both = copied(STUDY, "vault-1"), copied(OTHER, "vault-1")
    assert {copy.volume for copy in both} == {"A00001"}
    assert run_job("evict", OTHER).state == "done"
    return both


def requested(vault: str = "vault-1", volume: str = "A00001") -> Job:
    return dispatch.request_for_volume("evacuate", vault, volume, "archivist")[0]


def evacuate(vault: str = "vault-1", volume: str = "A00001") -> Job:
    job = requested(vault, volume)
    runner.run(job.id)
    job.refresh_from_db()
    return job


def good(study_uid: str) -> Copy:
    return Copy.objects.get(study_uid=study_uid, bad_since=None)


def test_every_member_is_brought_byte_for_byte_and_the_volume_retired(copies, head, vault):
    before = {copy.study_uid: member_file(copy).read_bytes() for copy in copies}
    job = evacuate()
    assert (job.state, job.error) == ("done", "")
    for old in copies:
        new = good(old.study_uid)
        assert (new.volume, new.revision, new.instances) == ("A00002", old.revision, old.instances)
        assert new.member == old.member.replace("-1.tar", "-2.tar")
        assert new.verified_at is not None
        assert member_file(new).read_bytes() == before[old.study_uid]
        assert _contents(new) == _contents(old)
        old.refresh_from_db()
        assert old.problem == "evacuated" and old.bad_since and old.verified_at is None
    assert state_of(vault, "A00001") == VolumeState.RETIRED
    assert Proof.objects.count() == 2  # all stayed proven at every moment


def _contents(copy: Copy) -> list[tuple[str, str, int, int]]:
    fields = ("sop_instance_uid", "stored_sha256", "size_bytes", "offset")
    return list(copy.contents.order_by("offset").values_list(*fields))


def test_what_was_evacuated_is_recalled_from_its_new_volume(copies, head):
    evacuate()
    assert run_job("recall", OTHER).state == "done"
    assert len(head.online(OTHER)) == 3
    assert run_job("evict", OTHER).state == "done"
    assert run_job("copy", OTHER).state == "done"
    assert CopiedInstance.objects.filter(copy__bad_since=None).count() == 6


def test_an_evacuation_may_run_twice(copies, vault):
    assert evacuate().state == evacuate().state == "done"
    assert Copy.objects.count() == 4


def test_from_the_beginning_the_volume_gets_nothing_more(copies, head, vault, monkeypatch):
    flip_a_bit(copies[1])
    evacuate()  # which cannot end
    head.arrive("1.2.5", "1.2.5.1", unlike(5))
    assert copied("1.2.5", "vault-1").volume != "A00001"


def test_nothing_is_retired_while_something_lies_there_alone(copies, head, vault):
    flip_a_bit(copies[1], f"{OTHER}.1")  # evicted, and in no other vault
    job = evacuate()
    assert job.state == "queued"  # it waits for the copy that it has asked for
    repair = Job.objects.get(kind="copy", state="queued")
    Job.objects.filter(id=repair.id).update(state="failed", updated_at=timezone.now())
    Job.objects.filter(id=job.id).update(due_at=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    assert job.state == "failed"
    assert f"the first is of {OTHER} on CT" in job.error and "could not be brought" in job.error
    assert state_of(vault, "A00001") == VolumeState.SUSPECT
    assert good(STUDY).volume == "A00002"  # what could be brought was


def test_a_damaged_member_is_written_anew_from_the_node(copies, head, vault):
    flip_a_bit(copies[0])
    job = evacuate()
    assert (job.state, job.attempts) == ("queued", 0)
    runner.run(Job.objects.get(kind="copy", state="queued").id)
    Job.objects.filter(id=job.id).update(due_at=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    assert job.state == "done", job.error
    assert good(STUDY).verified_at
    assert state_of(vault, "A00001") == VolumeState.RETIRED


def test_one_member_that_cannot_be_read_hinders_none_of_the_others(copies, vault, monkeypatch):
    torn(monkeypatch, copies[0], member=copies[0].member)
    evacuate()
    assert good(OTHER).volume == "A00002"
    assert good(STUDY).volume == "A00001"  # nothing was said against it
    assert Job.objects.get(kind="copy", state="queued").study_uid == STUDY


def test_a_drive_that_reads_nothing_is_given_up_soon(copies, vault, monkeypatch):
    monkeypatch.setattr(evacuating, "PATIENCE", 2)
    torn(monkeypatch, copies[0])
    job = evacuate()
    assert job.state == "queued" and "Input/output error" in job.error
    assert Copy.objects.filter(bad_since=None).count() == 2
    assert Alarm.objects.get().kind == "volume-suspect"


def test_the_alarm_about_a_volume_ends_as_it_is_retired(copies):
    alarms.raise_alarm("volume-suspect", "vault-1/A00001", "critical", "torn")
    evacuate()
    assert not Alarm.objects.filter(ended_at=None).exists()


def test_a_volume_that_the_catalogue_does_not_know_is_never_retired(copies, vault):
    """Its catalogue may have been lost: then its members are all that there is."""
    Copy.objects.all().delete()
    job = evacuate()
    assert job.state == "failed" and "rebuild the catalogue first" in job.error
    assert state_of(vault, "A00001") == VolumeState.SUSPECT


def test_what_is_in_another_vault_but_not_in_this_one_is_copied_here_again(
    archive, tmp_path, head, monkeypatch
):
    near_vault, _ = two_vaults(archive, tmp_path)
    near, far = copied(STUDY, "near"), copied(STUDY, "far")
    marked(near_vault, near.volume, VolumeState.SUSPECT)
    torn(monkeypatch, near, member=near.member)
    job = evacuate("near", near.volume)
    Job.objects.filter(kind="copy", state="queued").update(
        state="failed", updated_at=timezone.now()
    )
    Job.objects.filter(id=job.id).update(due_at=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    assert job.state == "done"
    assert state_of(library.vault("near"), near.volume) == VolumeState.RETIRED
    assert [proof.vault for proof in Proof.objects.all()] == ["far"]
    assert Copy.objects.get(bad_since=None).id == far.id


def test_an_evacuation_gives_way_to_a_recall(copies, monkeypatch):
    monkeypatch.setattr(evacuating, "BATCH_BYTES", 1)
    dispatch.request("recall", "CT", OTHER, "clinician")
    job = evacuate()
    assert (job.state, job.attempts) == ("queued", 0)
    assert Copy.objects.filter(problem="evacuated").count() == 1


def test_nothing_is_left_in_staging(copies):
    evacuate()
    assert list(settings.ARCHIVE.staging_dir.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "count"),
    [
        pytest.param("archive_node.steps.moving", "_write", 1, id="as it begins to write"),
        pytest.param("archive_node.steps.moving", "_sha256_of", 1, id="before reading back"),
        pytest.param("archive_node.steps.moving", "_take_over", 1, id="before the row"),
        pytest.param("archive_node.steps.moving", "_take_over", 2, id="between two members"),
        pytest.param("archive_node.steps.evacuate", "_conclude", 1, id="before it is retired"),
        pytest.param("archive_node.jobs.states", "Lease.finish", 1, id="before done"),
    ],
)
def test_an_evacuation_ends_once_whenever_its_worker_is_killed(copies, vault, module, name, count):
    job = requested()
    killed_at(job, module, name, count)
    done = taken_up_again(job)
    assert (done.state, done.error) == ("done", "")
    assert Copy.objects.count() == 4
    assert {good(uid).volume for uid in (STUDY, OTHER)} == {"A00002"}
    written = Path(settings.ARCHIVE.vault_dir / "A00002").rglob("*.tar")
    assert sorted(path.name for path in written) == ["r3-2.tar", "r3-2.tar"]
    assert state_of(vault, "A00001") == VolumeState.RETIRED
