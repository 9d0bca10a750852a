"""A node, an archive and a portal that have done real work, each in a time zone of its own."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support import roles
from tests.support.certificates import Authority
from tests.support.data_sets import STUDY, ct
from tests.support.ports import free_port
from tests.support.stow import as_file

WAIT_S = 60.0
SLICES = 3
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def until(holds: Callable[[], object], why: Callable[[], object] = lambda: "") -> None:
    """Wait for a condition; fail with `why`."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(f"did not happen: {why()}")


@dataclass
class Observed:
    """The roles of one hospital, with what they expose."""

    folder: Path
    node: roles.Role
    archive: roles.Role
    portal: roles.Role

    @property
    def all(self) -> tuple[roles.Role, ...]:
        """The three roles."""
        return self.node, self.archive, self.portal

    def lines(self, role: roles.Role) -> list[dict[str, object]]:
        """Return what a role has logged so far."""
        return [json.loads(line) for line in role.log.splitlines() if line.startswith("{")]

    def audit(self) -> list[dict[str, object]]:
        """Return the node's audit."""
        files = sorted((self.folder / "node-ct" / "audit").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def text_of(role: roles.Role) -> str:
    """Return a role's /metrics."""
    answer = httpx.get(f"{role.url}/metrics", timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def samples(role: roles.Role) -> Samples:
    """Return every sample of a role by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text_of(role))
        for sample in family.samples
    }


def value(role: roles.Role, name: str, **labels: str) -> float:
    """Return one sample; 0 where it is not told."""
    return samples(role).get((name, tuple(sorted(labels.items()))), 0.0)


def send(role: roles.Role, files: Path, called: str = "ARGENS_CT") -> None:
    """C-STORE a folder to a node with the product's own command."""
    port = str(role.dicom_port)
    done = role.command("send", "127.0.0.1", port, str(files), "--called", called)
    assert done.returncode == 0, done.stderr


@contextmanager
def hospital(folder: Path) -> Iterator[Observed]:
    """Run the three roles; the node listens for TLS too."""
    authority = Authority(folder)
    paper = authority.issue("node", days=30)
    paper.key.chmod(0o600)
    node = roles.node(
        folder,
        PACS_DICOM_TLS_PORT=str(free_port()),
        PACS_DICOM_TLS_CERT=str(paper.certificate),
        PACS_DICOM_TLS_KEY=str(paper.key),
        PACS_DICOM_TLS_CA=str(authority.certificate),
        PACS_PREPARE_AFTER_S="0",
        PACS_CHECK_CALLED_AE="yes",
        TZ="Asia/Kolkata",
    )
    archive = roles.archive(folder, {"CT": node}, TZ="America/St_Johns")
    portal = roles.portal(
        folder, {"CT": node}, archive.url, PACS_AUDIT_COLLECT_S="1", TZ="Pacific/Auckland"
    )
    with roles.running(node, archive, portal):
        yield Observed(folder, node, archive, portal)


def work(seen: Observed) -> None:
    """Send, be refused, search, fail to log in, have the exam copied and its audit collected."""
    files = seen.folder / "files"
    files.mkdir()
    for number in range(1, SLICES + 1):
        (files / f"{number}.dcm").write_bytes(as_file(ct(number)))
    send(seen.node, files)
    send(seen.node, files)
    at = ["127.0.0.1", str(seen.node.dicom_port), "--called", "ARGENS_CT"]
    found = seen.node.command("find", *at, "--json")
    assert STUDY in found.stdout, found.stderr
    seen.node.command("send", *at[:2], str(files), "--called", "NOT A NODE")
    token = roles.accounts(seen.folder)["clinician"]["token"]
    asked = httpx.get(
        f"{seen.portal.url}/dicom-web/studies",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert [study["0020000D"]["Value"] for study in asked.json()] == [[STUDY]]
    with httpx.Client(base_url=seen.portal.url, follow_redirects=True) as browser:
        page = browser.get("/login/")
        hidden = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert hidden is not None
        wrong = {"username": "clinician", "password": "wrong", "csrfmiddlewaretoken": hidden[1]}
        browser.post("/login/", data=wrong, headers={"Referer": f"{seen.portal.url}/login/"})
    until(
        lambda: value(seen.archive, "argens_archive_copies", proof="verified") == 1,
        lambda: seen.archive.log[-2000:],
    )
    until(lambda: ("argens_portal_audit_lag_seconds", (("source", "CT"),)) in samples(seen.portal))
