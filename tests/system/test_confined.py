"""Each role does its work under what its systemd unit allows, and asks for nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from pydicom.filewriter import dcmwrite

from pacs_common.archive_client import ArchiveClient
from pacs_common.tickets import TicketIssuer
from tests.support import confined, roles
from tests.support.data_sets import SERIES, STUDY, ct
from tests.support.process_tree import tree
from tests.support.services import require

pytestmark = pytest.mark.slow
# OpenBLAS would like its memory near its processor; SQLite, run by root, keeps a file's owner.
HARMLESS = {"mbind", "fchown"}
PICTURE = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/rendered"


@dataclass
class Confined(roles.Role):
    """A role whose process is confined; its log and what it was refused lie outside its reach."""

    writable: list[Path] = field(default_factory=list)

    @property
    def refused(self) -> set[str]:
        """The system calls that the role asked of the kernel and may not."""
        lines = (self.folder / "refused" / self.name).read_text().splitlines()
        return {found[1] for line in lines if (found := re.match(r"\d+ +(?:<\.\.\. )?(\w+)", line))}

    def start(self) -> Confined:
        manage = [sys.executable, str(roles.ROOT / "manage.py"), *self.argv]
        refused_log = self.folder / "refused" / self.name
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                confined.command(manage, self.writable, refused_log),
                env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop the role itself: what traces it ends with it, and would not take it along."""
        if self.process is None or self.process.poll() is not None:
            return
        for pid in tree(self.process.pid)[1:2]:
            os.kill(pid, how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            for pid in reversed(tree(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user can reach, outside /tmp."""
    with tempfile.TemporaryDirectory(prefix="argens-confined-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def confine(role: roles.Role) -> Confined:
    places = [Path(role.env[name]) for name in ("PACS_DATA_DIR", "PACS_TRUST_DIR")]
    return Confined(**vars(role), writable=places)


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


def stored(node: roles.Role) -> None:
    """Send a picture to the node."""
    file = node.folder / "1.dcm"
    dcmwrite(file, ct(1), implicit_vr=False, little_endian=True)
    send = [require("storescu"), "-aec", "ARGENS_CT", "127.0.0.1", str(node.dicom_port), str(file)]
    subprocess.run(send, check=True, timeout=60)


def test_a_confined_hospital_stores_shows_and_archives(folder):
    node = confine(roles.node(folder, PACS_PREPARE_AFTER_S="0"))
    archive = confine(roles.archive(folder, {"CT": node}))
    portal = confine(roles.portal(folder, {"CT": node}, archive.url))
    portal.env["PACS_DEMO_ACCOUNTS_FILE"] = f"{portal.env['PACS_DATA_DIR']}/accounts.json"
    with roles.running(portal, node, archive):
        stored(node)
        issuer = TicketIssuer.at("portal", folder / "portal" / "portal.key.pem", folder / "trust")
        token = issuer.issue("CT", ["dicomweb"], subject="tester")
        shown = httpx.get(node.url + PICTURE, headers={"Authorization": f"Bearer {token}"})
        assert shown.status_code == 200, shown.text
        assert httpx.get(f"{portal.url}/login/").status_code == 200
        client = ArchiveClient(archive.url, issuer, subject="tester")
        try:
            eventually(lambda: client.jobs(kind="copy", state="done", study=STUDY))
        finally:
            client.http.close()
    for role in (node, archive, portal):
        assert role.refused <= HARMLESS, role.name
        assert role.process.returncode == 0


def test_a_confined_backup_reads_the_role_and_writes_its_folder(folder):
    node = confine(roles.node(folder))
    with roles.running(node):
        stored(node)
    backups = folder / "backups"
    node.env["PACS_BACKUP_DIR"] = str(backups)
    node.argv = ["node", "backup"]
    node.start()
    assert node.process.wait(60) == 1, "it may not write there"
    node.writable.append(backups)
    node.start()
    assert node.process.wait(60) == 0, (folder / "CT.log").read_text()[-2000:]
    (made,) = backups.glob("argens-node-CT-*")
    assert (made / "database.sqlite3").stat().st_size > 0
    assert node.refused <= HARMLESS
