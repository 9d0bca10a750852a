"""`manage.py archive run`: gunicorn, a Celery worker and beat on a filesystem broker, for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import ArgensError
from pacs_common.tickets import TicketIssuer
from tests.archive.conftest import unlike
from tests.archive.node_stand_in import NodeStandIn, serving
from tests.support.ports import free_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def eventually(condition: Callable[[], Any], timeout_s: float = 30) -> Any:
    """Return what `condition` gives once it is true; fail where that takes too long."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except ArgensError:
            pass  # not listening yet
        time.sleep(0.1)
    pytest.fail("did not happen in time")


def children(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children(int(child))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Running:
    """A running archive: its supervisor, its log, and a portal's client of it."""

    def __init__(self, node: NodeStandIn, folder: Path) -> None:
        self.node = node
        port = free_port()
        self.log_file = folder / "archive.log"
        env = {
            "PATH": os.environ["PATH"],
            "PACS_DATA_DIR": str(folder / "data"),
            "PACS_TRUST_DIR": str(folder / "trust"),
            "PACS_HTTP_PORT": str(port),
            "PACS_NODES": f"CT={node.url}",
            "PACS_QUIET_S": "0",
            "PACS_SCAN_S": "0.5",
            "PACS_DISPATCH_S": "0.5",
            "PACS_LEASE_S": "3",
        }
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "archive", "run"],
                env=env, stdout=log, stderr=log, cwd=folder,
            )  # fmt: skip
        issuer = TicketIssuer.at("portal", folder / "portal.pem", folder / "trust")
        self.client = ArchiveClient(f"http://127.0.0.1:{port}", issuer, subject="archivist")

    def is_ready(self) -> bool:
        return self.client.http.json("GET", "/readyz")["status"] == "ready"

    def job(self, kind: str, state: str, study_uid: str) -> dict[str, Any] | None:
        found = self.client.jobs(kind=kind, state=state, study=study_uid)
        return found[0] if found else None

    def worker_pid(self) -> int:
        """Return the Celery worker's first process, the leader of its process group."""
        for pid in children(self.process.pid)[1:]:
            title = Path(f"/proc/{pid}/cmdline").read_text()  # as Celery sets it
            if "celeryd" in title and os.getpgid(pid) == pid:
                return pid
        raise AssertionError("no worker runs")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.client.http.close()


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


def arrived(node: NodeStandIn, study_uid: str) -> dict[str, bytes]:
    for number in range(3):
        node.arrive(study_uid, f"{study_uid}.{number}", unlike(number))
    return node.online(study_uid)


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


def test_sigterm_stops_every_process(running):
    pids = children(running.process.pid)
    assert len(pids) >= 6  # supervisor, gunicorn and its workers, worker and its pool, beat
    running.stop()
    assert running.process.returncode == 0
    eventually(lambda: not any(is_alive(pid) for pid in pids), 10)
    log = running.log_file.read_text()
    assert "Traceback" not in log
    assert '"logger": "gunicorn.error"' in log and '"message": "job done"' in log
