"""Real roles as real processes on free ports, each with a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support import new_databases
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_TIMEOUT_S = 60.0


def wait_for_port(port: int) -> None:
    """Wait until something listens on a port of loopback, by the kernel's table."""
    listens = f":{port:04X} 00000000:0000 0A"
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if listens in Path("/proc/net/tcp").read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


@dataclass
class Role:
    """One role's process: `argv` after manage.py, its environment and its ports.

    `before` is what starts it elsewhere than here, where `host` is its address.
    """

    name: str
    argv: list[str]
    folder: Path
    env: dict[str, str]
    http_port: int
    dicom_port: int = 0
    host: str = "127.0.0.1"
    before: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Its HTTP address."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    def start(self) -> Role:
        """Start the process (it is not ready yet), on a new database where it has none."""
        if "PACS_DATABASE_URL" not in self.env:
            new_databases.put(self.argv[0], Path(self.env["PACS_DATA_DIR"]))
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, sys.executable, str(ROOT / "manage.py"), *self.argv],
                env={**_clean_environment(), **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def wait_ready(self) -> Role:
        """Wait until /readyz says yes; fail with the log where it does not."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return self
            assert self.process is not None and self.process.poll() is None, self.log[-3000:]
            time.sleep(0.1)
        raise AssertionError(f"{self.name} is not ready:\n{self.log[-3000:]}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop the process and wait for its end."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def command(self, *argv: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run another command of this role to its end."""
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), self.argv[0], *argv],
            env={**_clean_environment(), **self.env},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def node(folder: Path, name: str = "CT", *, command: str = "run", **settings: str) -> Role:
    """Return a node of the hospital `folder`, not started."""
    http_port, dicom_port = free_port(), free_port()
    own = {
        "PACS_NODE_NAME": name,
        "PACS_AE_TITLE": f"ARGENS_{name}",
        "PACS_DICOM_PORT": str(dicom_port),
        "PACS_ACCEPT_LOOPBACK": "yes",
        "PACS_DEFAULT_ISSUER": "FREJUS",
        "PACS_RESERVE_BYTES": str(1 << 20),
        "PACS_IN_USE_S": "0",
    }
    env = _environment(folder, f"node-{name.lower()}", http_port) | own | settings
    return Role(f"node-{name}", ["node", command], folder, env, http_port, dicom_port)


def archive(folder: Path, nodes: Mapping[str, Role], **settings: str) -> Role:
    """Return the archive of the hospital `folder`, impatient enough for a test."""
    port = free_port()
    own = {
        "PACS_NODES": _urls(nodes),
        "PACS_QUIET_S": "2",
        "PACS_SCAN_S": "1",
        "PACS_DISPATCH_S": "1",
    }
    env = _environment(folder, "archive", port) | own | settings
    return Role("archive", ["archive", "run"], folder, env, port)


def portal(folder: Path, nodes: Mapping[str, Role], archive_url: str, **settings: str) -> Role:
    """Return the portal of the hospital `folder`, with the four demo people."""
    port = free_port()
    own = {
        "PACS_NODES": _urls(nodes),
        "PACS_ARCHIVE_URL": archive_url,
        "PACS_DEMO_ACCOUNTS_FILE": str(folder / "accounts.json"),
        "PACS_NODE_TIMEOUT_S": "3",
    }
    env = _environment(folder, "portal", port) | own | settings
    return Role("portal", ["web", "run"], folder, env, port)


def accounts(folder: Path) -> dict[str, dict[str, str]]:
    """Return the demo people's passwords and tokens."""
    return json.loads((folder / "accounts.json").read_text())


@contextlib.contextmanager
def running(*roles: Role) -> Iterator[None]:
    """Run roles until the block ends; leave none behind."""
    try:
        for role in roles:
            role.start()
        for role in roles:
            role.wait_ready()
        yield
    finally:
        for role in reversed(roles):
            role.stop()


def _environment(folder: Path, slug: str, http_port: int) -> dict[str, str]:
    return {
        "PACS_DATA_DIR": str(folder / slug),
        "PACS_TRUST_DIR": str(folder / "trust"),
        "PACS_HTTP_PORT": str(http_port),
    }


def _clean_environment() -> dict[str, str]:
    """Return this process's environment without what was meant for a suite's own role."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PACS_") and name != "DJANGO_SETTINGS_MODULE"
    }


def _urls(nodes: Mapping[str, Role]) -> str:
    return ",".join(f"{name}={role.url}" for name, role in nodes.items())
