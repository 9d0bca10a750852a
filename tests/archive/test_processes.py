"""`manage.py archive run`: gunicorn, a Celery worker and beat on a filesystem broker, for real."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive.node_stand_in import NodeStandIn, serving
from tests.archive.running import Running, arrived, eventually
from tests.support.process_tree import tree

pytestmark = pytest.mark.slow


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One archive for all tests of this file: it takes seconds to start and to stop."""
    folder = tmp_path_factory.mktemp("archive")
    with serving(NodeStandIn("CT", folder / "ct", folder / "trust")) as node:
        running = Running(node, folder)
        try:
            eventually(running.is_ready)
            yield running
        finally:
            running.stop()


def test_the_whole_circle_runs_by_itself_and_on_request(running):
    node, study = running.node, "1.2.3"
    before = arrived(node, study)

    copied = eventually(lambda: running.job("copy", "done", study))
    assert copied["requested_by"] == "rule"
    assert running.client.study(study)["copies"][0]["verified_at"]

    running.client.request_job("evict", "CT", study)
    eventually(lambda: running.job("evict", "done", study))
    assert node.online(study) == {}

    running.client.request_job("recall", "CT", study)
    eventually(lambda: running.job("recall", "done", study))
    assert node.online(study) == before


def test_a_worker_killed_in_the_middle_of_a_job_is_replaced_and_the_job_ends_once(running):
    node, study = running.node, "5.6.7"
    node.delay_s = 0.7
    arrived(node, study)
    eventually(lambda: node.called(f"GET /api/custody/studies/{study}/instances") >= 2)
    os.killpg(running.worker_pid(), signal.SIGKILL)

    job = eventually(lambda: running.job("copy", "done", study))
    assert job["attempts"] >= 2
    assert len(running.client.jobs(kind="copy", study=study)) == 1
    (copy,) = running.client.study(study)["copies"]
    assert copy["instances"] == 3 and copy["verified_at"]


def test_a_running_job_is_cancelled_and_its_worker_goes_on_with_others(running):
    node, study = running.node, "6.7.8"
    node.delay_s = 1.0
    arrived(node, study)
    job = eventually(lambda: running.job("copy", "running", study))
    eventually(lambda: node.called(f"GET /api/custody/studies/{study}/instances"))
    assert running.client.act_on_job(job["id"], "cancel")["state"] == "cancelled"
    node.delay_s = 0.0
    arrived(node, "6.7.9")
    eventually(lambda: running.job("copy", "done", "6.7.9"))
    assert running.client.job(job["id"])["state"] == "cancelled"


def test_sigterm_stops_every_process(running):
    pids = tree(running.process.pid)
    assert len(pids) >= 6  # supervisor, gunicorn and its workers, worker and its pool, beat
    running.stop()
    assert running.process.returncode == 0
    eventually(lambda: not any(is_alive(pid) for pid in pids), 10)
    log = running.log_file.read_text()
    assert "Traceback" not in log
    assert '"logger": "gunicorn.error"' in log and '"message": "job done"' in log
