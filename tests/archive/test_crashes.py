"""SIGKILL at the worst moments: the job is taken up again and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from archive_node.jobs import dispatch, runner
from archive_node.models import CopiedInstance, Copy, Job, Plan, Proof
from archive_node.vault.tape import TapeLibrary
from tests.archive.conftest import STUDY, run_job, unlike

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
DOOMED = """
import importlib, os, signal, sys
import django
django.setup()
from archive_node.jobs import runner
from archive_node.vault.tape import TapeLibrary

TapeLibrary.spools = bool(int(sys.argv[5]))
module, names, count, job = sys.argv[1], sys.argv[2].split("."), int(sys.argv[3]), int(sys.argv[4])
owner = importlib.import_module(module)
for name in names[:-1]:
    owner = getattr(owner, name)
real = getattr(owner, names[-1])

def die(*args, **kwargs):
    global count
    count -= 1
    if not count:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)

setattr(owner, names[-1], die)
runner.run(job)
"""


def killed_at(job: Job, module: str, name: str, count: int, *, spools: bool = False) -> None:
    """Run the job in a process of its own that kills itself at the `count`-th call of `name`."""
    archive = settings.ARCHIVE
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "archive_node.settings",
        "PACS_DATA_DIR": str(archive.data_dir),
        "PACS_TRUST_DIR": str(archive.trust_dir),
        "PACS_TICKET_KEY": archive.ticket_key,  # another folder would make another one
        "PACS_VAULT_DIR": str(archive.vault_dir),
        "PACS_DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "PACS_NODES": ",".join(f"{node}={url}" for node, url in archive.nodes.items()),
        "PACS_VOLUME_BYTES": str(archive.volume_bytes),
        "PACS_MEMBER_BYTES": str(archive.member_bytes),
    }
    argv = [sys.executable, "-c", DOOMED, module, name, str(count), str(job.id), str(int(spools))]
    ended = subprocess.run(argv, env=env, timeout=60, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def taken_up_again(job: Job) -> Job:
    """Let the dead worker's lease expire, then work as another worker would."""
    assert runner.run(job.id) is False  # not before
    died = Job.objects.filter(id=job.id, state="running")
    assert died.update(lease_until=timezone.now() - timedelta(seconds=1)) == 1
    assert runner.run(job.id)
    job.refresh_from_db()
    return job


@pytest.mark.parametrize(
    ("module", "name", "count"),
    [
        pytest.param("archive_node.steps.sources", "Sources.content", 2, id="while fetching"),
        pytest.param("archive_node.vault.tar", "header", 4, id="in the middle of the tar"),
        pytest.param("archive_node.vault.tape", "TapeVolume._make_folders", 1, id="before rename"),
        pytest.param("archive_node.steps.migrate", "_Copying._note", 1, id="before the row"),
        pytest.param("archive_node.jobs.states", "Lease.expect", 2, id="after the row"),
        pytest.param("archive_node.vault.volume", "OpenMember._digest", 2, id="while reading back"),
        pytest.param("archive_node.steps.verify", "_conclude", 1, id="after verified_at"),
        pytest.param("archive_node.jobs.states", "Lease.fenced", 2, id="before verified_at"),
        pytest.param("archive_node.jobs.states", "Lease.finish", 1, id="before done"),
    ],
)
def test_a_copy_ends_once_whenever_its_worker_is_killed(head, vault, module, name, count):
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    killed_at(job, module, name, count)
    assert taken_up_again(job).state == "done"

    copy = Copy.objects.get()
    assert copy.verified_at is not None
    assert CopiedInstance.objects.count() == 3
    assert Proof.objects.get().revision == 3
    written = [path for path in settings.ARCHIVE.vault_dir.rglob("*") if ".tar" in path.name]
    assert [path.name for path in written] == ["r3-1.tar"]
    assert list(settings.ARCHIVE.vault_dir.glob("*/.partial/*")) == []
    assert list(settings.ARCHIVE.staging_dir.glob("*")) == []


@pytest.mark.parametrize(
    ("module", "name", "count"),
    [
        pytest.param("pacs_common.node_client", "NodeClient.fetch", 3, id="while staging"),
        pytest.param("archive_node.vault.tar", "header", 4, id="in the middle of the tar"),
        pytest.param("archive_node.steps.migrate", "_Copying._note", 1, id="before the row"),
    ],
)
def test_what_was_staged_is_not_fetched_again(head, vault, monkeypatch, module, name, count):
    monkeypatch.setattr(TapeLibrary, "spools", True)  # as a drive that must not wait
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    killed_at(job, module, name, count, spools=True)
    assert taken_up_again(job).state == "done"
    assert Copy.objects.get().verified_at is not None
    assert head.called(f"GET /api/custody/studies/{STUDY}/instances") == 3
    assert list(settings.ARCHIVE.staging_dir.glob("*")) == []


@pytest.mark.parametrize(
    ("module", "name", "count"),
    [
        pytest.param("archive_node.vault.tar", "header", 9, id="in the second part"),
        pytest.param("archive_node.steps.migrate", "_Copying._note", 2, id="before its row"),
        pytest.param("archive_node.steps.migrate", "_Copying.write_part", 3, id="after its row"),
    ],
)
def test_a_study_in_parts_goes_on_with_the_part_at_which_its_worker_was_killed(
    head, vault, archive, module, name, count
):
    archive(member_bytes=8000)  # two instances each
    for number in range(3, 7):
        head.arrive(STUDY, f"1.2.3.{number}", unlike(number))
    before = head.online(STUDY)
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    killed_at(job, module, name, count)
    assert taken_up_again(job).state == "done"
    parts = list(Copy.objects.order_by("id").values_list("member", "instances"))
    assert parts == [(f"CT/1.2.3/r7-{n}.tar", i) for n, i in ((1, 2), (2, 2), (3, 2), (4, 1))]
    fetched = [call for call in head.calls if "/instances/" in call and call.startswith("GET")]
    assert set(fetched[:2]).isdisjoint(fetched[2:])  # the first part stood: it was noted
    assert run_job("evict").state == run_job("recall").state == "done"
    assert head.online(STUDY) == before


@pytest.mark.parametrize(
    ("module", "name", "count"),
    [
        pytest.param("pacs_common.node_client", "NodeClient.evict", 1, id="before asking"),
        pytest.param("archive_node.jobs.states", "Lease.fenced", 2, id="before the answer is kept"),
        pytest.param("archive_node.jobs.states", "Lease.finish", 1, id="before done"),
    ],
)
def test_an_eviction_keeps_its_one_plan_whenever_its_worker_is_killed(
    head, vault, module, name, count
):
    run_job("copy")
    job, _ = dispatch.request("evict", "CT", STUDY, "rule")
    killed_at(job, module, name, count)
    done = taken_up_again(job)
    assert (done.state, done.instances_done) == ("done", 3)
    assert head.online(STUDY) == {}
    assert Plan.objects.get().answer == head.answers[str(Plan.objects.get().id)]
    assert len(head.answers) == 1


def test_a_recall_goes_on_where_its_worker_was_killed(head, vault):
    before = head.online(STUDY)
    run_job("copy")
    run_job("evict")
    job, _ = dispatch.request("recall", "CT", STUDY, "clinician")
    killed_at(job, "pacs_common.node_client", "NodeClient.put_back", 2)
    assert len(head.online(STUDY)) == 1
    assert taken_up_again(job).state == "done"
    assert head.online(STUDY) == before
    assert head.called("PUT") == 3


def test_a_member_left_without_its_row_that_holds_something_else_is_left_alone(head, vault):
    """The tape cannot be overwritten: the next number is taken."""
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    killed_at(job, "archive_node.steps.migrate", "_Copying._note", 1)
    one = head.studies[STUDY].instances.pop("1.2.3.1")
    head.arrive(STUDY, "1.2.3.1", b"other bytes", ago_s=1)
    head.studies[STUDY].revision -= 1
    assert one.stored_sha256 != head.studies[STUDY].instances["1.2.3.1"].stored_sha256
    assert taken_up_again(job).state == "done"
    assert Copy.objects.get().member == "CT/1.2.3/r3-2.tar"
