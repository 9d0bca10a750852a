"""Three nodes on small disks of their own, an archive of two vaults, a portal: real processes."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import ArgensError
from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.node_under_fault import SOAK, kill_node, objects, wait_listening
from tests.support.postgres import cluster
from tests.support.process_tree import command_line, tree
from tests.support.redis_server import redis_server
from tests.support.services import require

NAMES = ("CT", "RF", "CR")
VAULTS = ("onsite", "offsite")
HIGH, LOW = 0.45, 0.3
DISK_OF_DAY = 1.4  # a disk is so many times what the day sends there ...
DISK_BESIDES = 14 << 20  # ... and this for index, logs and counts, and what tests send besides
WAIT_S = 200.0 if SOAK else 60.0

Kill = Callable[[random.Random], object]
OfRole = Callable[[str], dict[str, str]]


def eventually(holds: Callable[[], Any], why: Callable[[], object] = lambda: "") -> Any:
    """Return what `holds` gives once it is true, whoever is away meanwhile; fail with `why`."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            if found := holds():
                return found
        except ArgensError:
            pass  # what was killed is not back yet
        time.sleep(0.2)
    pytest.fail(f"did not happen in {WAIT_S:.0f} s: {why()}")


@dataclass
class Hospital:
    """The roles, who may speak to them, and what lay on the nodes as the day had arrived."""

    folder: Path
    nodes: dict[str, roles.Role]
    archive: roles.Role
    portal: roles.Role
    kills: dict[str, Kill] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)

    def open(self, stack: ExitStack) -> None:
        """Speak to the archive as the portal does, and to the nodes as the archive does."""
        trust = self.folder / "trust"
        key = Path(self.portal.env["PACS_DATA_DIR"]) / "portal.key.pem"
        issuer = TicketIssuer.at("portal", key, trust)
        self.client = ArchiveClient(self.archive.url, issuer, subject="archivist", read_s=30.0)
        stack.callback(self.client.http.close)
        key = Path(self.archive.env["PACS_DATA_DIR"]) / "archive.key.pem"
        issuer = TicketIssuer.at("archive", key, trust)
        self.at = {
            name: NodeClient(name, node.url, issuer, subject="test")
            for name, node in self.nodes.items()
        }
        for client in self.at.values():
            stack.callback(client.http.close)

    def studies(self) -> dict[str, str]:
        """Return the node of each study."""
        return {
            facts["study_uid"]: name
            for name, client in self.at.items()
            for facts in client.custody_studies()["studies"]
        }

    def is_proven(self, study_uid: str, node: str) -> bool:
        """Whether each instance, as it is now, has a verified copy in both vaults."""
        manifest = self.at[node].manifest(study_uid)
        copies = self.client.study(study_uid)["copies"]
        sound = [one for one in copies if one["verified_at"] and not one["problem"]]
        newest = {one["vault"] for one in sound if one["revision"] == manifest["revision"]}
        count = len(manifest["instances"])
        return newest == set(VAULTS) and all(
            sum(one["instances"] for one in sound if one["vault"] == vault) >= count
            for vault in VAULTS
        )

    def is_idle(self) -> bool:
        """Whether every job has ended."""
        return self.client.jobs_page(state="open", limit=1)["total"] == 0

    def is_idle_at_once(self) -> bool:
        """Whether every job has ended; an operator lets what was put off go on now."""
        if not SOAK:
            self.client.act_on_jobs("now", state="open")
        return self.is_idle()

    def settle(self) -> None:
        """Wait until every study is proven in both vaults and no job is left."""
        for study_uid, node in eventually(self.studies).items():
            eventually(lambda uid=study_uid, at=node: self.is_proven(uid, at), self.told)
        eventually(self.is_idle_at_once, self.told)

    def ends(self) -> list[int]:
        """Return the jobs that ended, as the audit has them: one as often as it ended."""
        found, after = [], ""
        while True:
            page = self.client.audit_lines(after)
            found += [one["job"] for one in page["records"] if one["kind"].startswith("job-")]
            if not page["more"]:
                return found
            after = page["next"]

    def job(self, kind: str, study_uid: str, node: str) -> dict[str, Any]:
        """Ask for a job and return it at its end."""
        asked = eventually(lambda: self.client.request_job(kind, node, study_uid))
        return self.ended(asked["id"])

    def ended(self, job_id: int) -> dict[str, Any]:
        """Return a job once it has ended."""

        def end() -> dict[str, Any] | None:
            job = self.client.job(job_id)
            return job if job["state"] in {"done", "failed", "cancelled"} else None

        return eventually(end, self.told)

    def recall_all(self) -> None:
        """Bring back all that is away, with the watermarks out of the way.

        A scan that was under way may still free some by the marks that it had read: so it is
        looked again until nothing is away and no job is left.
        """
        self.watermarks(None, None)
        eventually(self._has_all, self.told)

    def _has_all(self) -> bool:
        away = [
            (study_uid, node)
            for study_uid, node in self.studies().items()
            if self.at[node].manifest(study_uid)["online"] < self.count(study_uid, node)
        ]
        for study_uid, node in away:
            job = self.job("recall", study_uid, node)
            assert job["state"] == "done", job
        return not away and self.is_idle()

    def count(self, study_uid: str, node: str) -> int:
        """Return how many instances a study has."""
        return len(self.at[node].manifest(study_uid)["instances"])

    def watermarks(self, high: float | None, low: float | None) -> None:
        """Decide all nodes' watermarks; None is the setting, with which nothing is evicted."""
        decided = {"high_watermark": high, "low_watermark": low}

        def decide() -> bool:
            for name in self.nodes:
                self.client.set_node_policy(name, **decided)
            return True

        eventually(decide, self.told)

    def used(self, node: str) -> float:
        """Return the used part of a node's disk, its reserve left out."""
        disk = self.at[node].status()["disk"]
        usable = disk["total_bytes"] - disk["reserve_bytes"]
        return 1 - (disk["free_bytes"] - disk["reserve_bytes"]) / usable

    def on_disk(self) -> dict[str, str]:
        """Return the SHA-256 of every stored file, by SOP Instance UID."""
        return {uid: digest_of(path) for uid, path in self.files().items()}

    def files(self) -> dict[str, Path]:
        """Return every file that the nodes store in full, by SOP Instance UID."""
        return {uid: path for node in self.nodes.values() for uid, path in objects(node).items()}

    def members(self, vault: str) -> list[Path]:
        """Return the members on all of a vault's volumes."""
        return sorted((self.folder / vault).rglob("r*.tar"))

    def told(self) -> str:
        """Return what there is to say of what does not end."""
        used = {name: round(self.used(name), 3) for name in self.nodes}
        jobs = self.client.jobs(state="open")[:10] + self.client.jobs(state="failed")[:10]
        return f"{used}\n{jobs}\n{self.archive.log[-3000:]}"


def digest_of(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archived(member: Path) -> Iterator[tuple[str, str, int]]:
    """Yield (SOP Instance UID, SHA-256, offset) of each instance in a member of a volume."""
    with tarfile.open(member) as tar:
        for entry in tar:
            if entry.name.startswith("instances/"):
                file = tar.extractfile(entry)
                assert file is not None
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                yield Path(entry.name).stem, digest, entry.offset_data


def storescu(node: roles.Role, folder: Path) -> subprocess.Popen[bytes]:
    """Begin to send a folder to a node with DCMTK."""
    where = [node.host, str(node.dicom_port), str(folder)]
    command = [require("storescu"), "+sd", "+r", "-aec", node.env["PACS_AE_TITLE"], *where]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def send(node: roles.Role, folder: Path) -> None:
    """Send a folder to a node; all of it must be taken."""
    assert storescu(node, folder).wait(120) == 0, node.log[-3000:]


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """A file system of this size; skips where root may not mount one."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*.dcm"))


@contextmanager
def hospital(folder: Path, day: Path, kind: str) -> Iterator[Hospital]:
    """Run a hospital on the `embedded` or the `production` parts; the day has arrived."""
    with ExitStack() as stack:
        of_role, kills = parts(kind, stack)
        nodes = {}
        for name in NAMES:
            size = int(size_of(day / name) * DISK_OF_DAY) + DISK_BESIDES
            stack.enter_context(small_disk(folder / f"node-{name.lower()}", size))
            nodes[name] = roles.node(folder, name, PACS_RENDITIONS="off", **of_role(name.lower()))
        archive = roles.archive(
            folder,
            nodes,
            PACS_VAULTS=f"onsite=tape:{folder}/onsite?drives=2&volume=60MB,"
            f"offsite=disk:{folder}/offsite?volume=60MB",
            PACS_HIGH_WATERMARK="1",  # until the tests say otherwise
            PACS_LOW_WATERMARK="1",
            PACS_PRIORS="0",
            PACS_LEASE_S="3",
            **of_role("archive"),
        )
        portal = roles.portal(folder, nodes, archive.url, **of_role("portal"))
        place = Hospital(folder, nodes, archive, portal)
        place.kills = kills | _kills_of(place)
        stack.enter_context(roles.running(portal, *nodes.values()))
        for node in nodes.values():
            wait_listening(node)
        sending = [storescu(node, day / name) for name, node in nodes.items()]
        assert [one.wait(120) for one in sending] == [0, 0, 0]
        place.before = place.on_disk()
        stack.enter_context(roles.running(archive))
        place.open(stack)
        yield place


def parts(kind: str, stack: ExitStack) -> tuple[OfRole, dict[str, Kill]]:
    """Start what the roles need besides; return each role's settings, and how to crash them."""
    if kind == "embedded":
        return lambda role: {}, {}
    database = stack.enter_context(cluster())
    redis = stack.enter_context(redis_server())

    def of_role(role: str) -> dict[str, str]:
        broker = {"PACS_BROKER_URL": redis.url} if role == "archive" else {}
        return {"PACS_DATABASE_URL": database.create(role), **broker}

    return of_role, {
        "database": lambda _: (database.stop("immediate"), database.start()),
        "redis": lambda _: (redis.kill(), redis.start()),
    }


def _kills_of(place: Hospital) -> dict[str, Kill]:
    def node(chance: random.Random) -> None:
        one = chance.choice(list(place.nodes.values()))
        kill_node(one)
        one.start().wait_ready()

    return {
        "worker": lambda _: _kill_group(place.archive, "celeryd"),
        "beat": lambda _: _kill_group(place.archive, "celery beat"),
        "node": node,
    }


def _kill_group(role: roles.Role, word: str) -> None:
    """Kill a part of a role with all that it forked; the role starts it again."""
    assert role.process is not None
    for pid in tree(role.process.pid)[1:]:
        try:
            if word in command_line(pid) and os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
