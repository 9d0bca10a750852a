"""Encrypted copies are read, scrubbed, evacuated and given back like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from archive_node import library
from archive_node.jobs import dispatch, runner
from archive_node.models import Copy, Job
from archive_node.vault.base import VolumeState
from tests.archive.conftest import STUDY, run_job
from tests.archive.node_stand_in import NodeStandIn, serving
from tests.archive.test_restore_node import PLENTY
from tests.archive.vaults import copied, flip_a_bit, state_of


@pytest.fixture
def sealed(head, archive, tmp_path: Path) -> Copy:
    """The study's copy in a vault with a key."""
    archive(
        vaults_written={"vault-1": f"tape:{tmp_path / 'vault'}?key=2026&volume=200000"},
        keys={"2026": bytes(range(32))},
    )
    copy = copied(STUDY, "vault-1")
    assert copy.key_id == "2026"
    return copy


def on_volume(kind: str) -> Job:
    job, _ = dispatch.request_for_volume(kind, "vault-1", "A00001", "archivist")
    Job.objects.filter(id=job.id).update(due_at=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    return job


def test_a_sealed_study_is_recalled(sealed, head):
    before = head.online(STUDY)
    assert run_job("evict").state == run_job("recall").state == "done"
    assert head.online(STUDY) == before


def test_a_scrub_finds_what_was_changed_in_a_sealed_copy(sealed):
    assert on_volume("scrub").error == ""
    flip_a_bit(sealed, "1.2.3.1")
    assert "1 copies on A00001 were bad" in on_volume("scrub").error


def test_a_sealed_member_is_bound_to_its_name_and_so_evacuated_by_writing_it_anew(sealed, head):
    assert run_job("evict").state == "done"  # so that the volume itself is the only source
    assert on_volume("evacuate").state == "queued"
    copying = Job.objects.get(kind="copy", state="queued")
    runner.run(copying.id)
    copying.refresh_from_db()
    assert (copying.state, copying.error) == ("done", "")
    assert on_volume("evacuate").state == "done"
    assert state_of(library.vault("vault-1"), "A00001") == VolumeState.RETIRED
    new = Copy.objects.get(bad_since=None)
    assert (new.volume, new.key_id) == ("A00002", "2026")
    assert run_job("recall").state == "done"
    assert len(head.online(STUDY)) == 3


def test_a_node_is_filled_from_a_sealed_vault(sealed, head, archive, tmp_path):
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        archive(nodes={"CT": served.url})
        call_command("restore-node", "CT")
        assert served.online(STUDY) == head.online(STUDY)
