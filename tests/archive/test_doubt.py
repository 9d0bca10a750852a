"""Where the archive must doubt what it knew: copies that went bad, went away or were never kept."""

from __future__ import annotations

import errno

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from archive_node.jobs import actions, runner
from archive_node.models import Copy, Job, Plan, Proof
from archive_node.policy.scan import scan_all
from archive_node.vault.tape import TapeVolume
from pacs_common import errors
from tests.archive.conftest import STUDY, run_job, unlike


def member_file(copy: Copy):
    return settings.ARCHIVE.vault_dir / copy.volume / copy.member


def restarting(ticket, plan):
    raise errors.Unavailable("the node restarts")


def unanswered_plan(head) -> Job:
    """Let an eviction make its plan while the node does not take it, so that it waits with it."""
    run_job("copy")
    head.evict = restarting
    job = run_job("evict")
    del head.evict
    assert Plan.objects.get().answer is None
    Job.objects.filter(id=job.id).update(state="queued", due_at=timezone.now())
    return job


def test_a_plan_that_waited_while_its_copy_went_bad_is_never_sent(head, vault):
    job = unanswered_plan(head)
    Copy.objects.update(verified_at=None, bad_since=timezone.now())
    runner.run(job.id)
    job.refresh_from_db()
    assert len(head.online(STUDY)) == 3
    assert job.state == "failed" and "has a verified copy" in job.error


def test_a_plan_that_waited_while_its_copies_stayed_good_is_sent_as_it_was(head, vault):
    job = unanswered_plan(head)
    runner.run(job.id)
    assert head.online(STUDY) == {}
    assert Plan.objects.count() == 1


def test_nothing_is_evicted_by_a_member_that_its_volume_has_lost(head, vault):
    run_job("copy")
    member_file(Copy.objects.get()).unlink()
    assert run_job("evict").state == "failed"
    assert len(head.online(STUDY)) == 3


def test_a_volume_that_is_away_does_not_condemn_its_copies(head, vault):
    before = head.online(STUDY)
    run_job("copy")
    run_job("evict")
    volume = settings.ARCHIVE.vault_dir / "A00001"
    volume.rename(volume.with_name("on-a-shelf"))
    failed = run_job("recall")
    assert failed.state == "failed" and "has no volume A00001" in failed.error
    volume.with_name("on-a-shelf").rename(volume)
    assert run_job("recall").state == "done"
    assert head.online(STUDY) == before


def test_rows_on_which_an_eviction_rests_are_synced_as_they_are_committed(head, vault):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL syncs each commit unless it is told not to")
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_node_that_knows_an_instance_no_more_does_not_condemn_the_copy(head, vault):
    run_job("copy")
    run_job("evict")
    known = head.put_back
    head.put_back = lambda *about: (_ for _ in ()).throw(errors.NotFound("rebuilding"))
    assert run_job("recall").state == "failed"
    head.put_back = known
    assert run_job("recall").state == "done"
    assert len(head.online(STUDY)) == 3


def test_what_purge_cannot_prove_is_copied_again(head, vault):
    """A node whose index was rebuilt may count its revisions anew."""
    run_job("copy")
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    head.studies[STUDY].revision = 3
    run_job("evict")
    scan_all()
    assert Job.objects.filter(kind="copy", state="queued").count() == 1


def test_a_node_that_counts_its_revisions_anew_is_copied_anew(head, vault):
    run_job("copy")
    scan_all()
    head.studies[STUDY].revision = 2
    scan_all()
    assert not Proof.objects.exists()


def test_an_answer_to_an_eviction_that_makes_no_sense_is_asked_again(head, vault):
    run_job("copy")
    head.evict = lambda ticket, plan: ["done"]
    job = run_job("evict")
    assert job.state == "queued" and "cannot be read" in job.error
    assert Plan.objects.get().answer is None
    del head.evict
    Job.objects.update(due_at=timezone.now())
    assert run_job("evict").state == "done"
    assert Plan.objects.count() == 1


def test_an_eviction_that_frees_nothing_has_failed(head, vault):
    """Else the rule would ask for it again at every scan."""
    run_job("copy")
    head.evict = lambda ticket, plan: {
        "plan_id": plan["plan_id"], "evicted": [], "refused": [], "freed_bytes": 0
    }  # fmt: skip
    assert run_job("evict").state == "failed"


def test_a_retried_eviction_never_reuses_a_plan_of_which_a_copy_is_gone(head, vault):
    job = unanswered_plan(head)
    Job.objects.update(state="failed")
    Copy.objects.all().delete()
    job.refresh_from_db()
    actions.act("retry", job.id, "archivist")
    runner.run(job.id)
    assert len(head.online(STUDY)) == 3


def test_a_copy_that_cannot_be_made_durable_is_not_verified(head, vault, monkeypatch):
    def failing(volume, member):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(TapeVolume, "settle", failing)  # the medium's own failure
    job = run_job("copy")
    assert job.state == "queued" and "Input/output error" in job.error
    assert Copy.objects.get().verified_at is None
