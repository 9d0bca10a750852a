"""`manage.py archive run` as a process beside the tests, with a portal's client of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import ArgensError
from pacs_common.tickets import TicketIssuer
from tests.archive.conftest import unlike
from tests.archive.node_stand_in import NodeStandIn
from tests.support.ports import free_port
from tests.support.process_tree import command_line, tree

ROOT = Path(__file__).resolve().parents[2]
IMPATIENT = {
    "PACS_QUIET_S": "0",
    "PACS_SCAN_S": "0.5",
    "PACS_DISPATCH_S": "0.5",
    "PACS_LEASE_S": "3",
}


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


def arrived(node: NodeStandIn, study_uid: str, instances: int = 3) -> dict[str, bytes]:
    """Let a study arrive at a node; return its files."""
    for number in range(instances):
        node.arrive(study_uid, f"{study_uid}.{number}", unlike(number))
    return node.online(study_uid)


class Running:
    """A running archive: its supervisor, its log, and a portal's client of it."""

    def __init__(self, node: NodeStandIn, folder: Path, **settings: str) -> None:
        self.node = node
        self.data_dir = folder / "data"
        self.log_file = folder / "archive.log"
        port = free_port()
        env = {
            "PATH": os.environ["PATH"],
            "PACS_DATA_DIR": str(self.data_dir),
            "PACS_TRUST_DIR": str(folder / "trust"),
            "PACS_HTTP_PORT": str(port),
            "PACS_NODES": f"CT={node.url}",
            **IMPATIENT,
            **settings,
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

    def leaders(self, word: str) -> list[int]:
        """Return the processes with this word in their title that lead a group of their own."""
        return [
            pid
            for pid in tree(self.process.pid)[1:]
            if word in command_line(pid) and _group(pid) == pid  # as Celery titles it
        ]

    def worker_pid(self) -> int:
        """Return the Celery worker's first process, the leader of its process group."""
        (found,) = self.leaders("celeryd")
        return found

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.client.http.close()


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
