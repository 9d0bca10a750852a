"""`manage.py archive prepare`, `http`, `worker` and `beat`: each process started by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pacs_common.archive_client import ArchiveClient
from pacs_common.tickets import TicketIssuer
from tests.archive.node_stand_in import NodeStandIn, serving
from tests.archive.running import IMPATIENT, ROOT, arrived, eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.slow
COMMANDS = ("http", "worker", "beat")


def environment(folder: Path, **settings: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PACS_DATA_DIR": str(folder / "data"),
        "PACS_TRUST_DIR": str(folder / "trust"),
        **IMPATIENT,
        **settings,
    }


def manage(command: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), "archive", command]


def test_three_processes_of_their_own_archive_and_stop_cleanly(tmp_path):
    port = free_port()
    with serving(NodeStandIn("CT", tmp_path / "ct", tmp_path / "trust")) as node:
        env = environment(tmp_path, PACS_HTTP_PORT=str(port), PACS_NODES=f"CT={node.url}")
        for _ in range(2):  # a restart prepares again
            subprocess.run(manage("prepare"), env=env, check=True, timeout=60)
        log = (tmp_path / "log").open("wb")
        running = [subprocess.Popen(manage(one), env=env, stdout=log, stderr=log, cwd=tmp_path)
                   for one in COMMANDS]  # fmt: skip
        try:
            issuer = TicketIssuer.at("portal", tmp_path / "portal.pem", tmp_path / "trust")
            client = ArchiveClient(f"http://127.0.0.1:{port}", issuer, subject="archivist")
            arrived(node, "1.2.3")
            eventually(lambda: client.jobs(kind="copy", state="done", study="1.2.3"))
            client.http.close()
        finally:
            for one in running:
                one.send_signal(signal.SIGTERM)
            ended = [one.wait(20) for one in running]
            log.close()
    assert ended == [0, 0, 0]
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_vault_that_is_not_there_fails_the_preparing_with_a_line(tmp_path):
    place = tmp_path / "a-file"
    place.write_text("")
    env = environment(tmp_path, PACS_VAULTS=f"onsite=tape:{place}")
    done = subprocess.run(manage("prepare"), env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "vault onsite: " in done.stderr and "Traceback" not in done.stderr
