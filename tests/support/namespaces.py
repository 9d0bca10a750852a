"""Machines on a network of their own: namespaces on one bridge, whose links a test cuts or slows.

Needs root and iproute2. The test's own process stands on the network too, as `desk`. Whatever
happens the namespaces go at the end; those of a run that was killed go at the next one's start.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.roles import Role
from tests.support.services import require

PREFIX = "argens-test-"


@dataclass(frozen=True)
class Machine:
    """A namespace with one link to the bridge, which is called as the machine is."""

    name: str
    namespace: str
    address: str

    def holds(self, role: Role) -> Role:
        """Let a role run on this machine, listening on its address."""
        role.host = self.address
        role.before = [require("ip"), "netns", "exec", self.namespace]
        role.env |= {"PACS_HTTP_BIND": self.address, "PACS_DICOM_BIND": self.address}
        return role


class Network:
    """A bridge, and the machines on it."""

    def __init__(self) -> None:
        self._own = f"{PREFIX}{os.getpid()}-"
        self._switch = f"{self._own}switch"
        self._subnet = f"198.18.{os.getpid() % 250}"  # RFC 2544: of benchmarks, in no hospital
        self._cable = f"argens{os.getpid() % 10**8}"
        self._machines = 1
        self.desk = f"{self._subnet}.1"

    def build(self) -> None:
        """Make the bridge, and the test's own place on it; skips where the kernel has neither."""
        try:
            ip("netns", "add", self._switch)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
        self._on_switch("link", "add", "bridge", "type", "bridge")
        self._on_switch("link", "set", "bridge", "up")
        peer = ("peer", "name", "desk", "netns", self._switch)
        ip("link", "add", self._cable, "type", "veth", *peer)
        self._plug("desk")
        ip("address", "add", f"{self.desk}/24", "dev", self._cable)
        ip("link", "set", self._cable, "up")

    def machine(self, name: str) -> Machine:
        """Put a new machine on the bridge."""
        self._machines += 1
        made = Machine(name, f"{self._own}{name}", f"{self._subnet}.{self._machines}")
        ip("netns", "add", made.namespace)
        peer = ("peer", "name", name, "netns", self._switch)
        ip("link", "add", "eth0", "netns", made.namespace, "type", "veth", *peer)
        self._plug(name)
        ip("-n", made.namespace, "address", "add", f"{made.address}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            ip("-n", made.namespace, "link", "set", link, "up")
        return made

    def cut(self, name: str) -> None:
        """Pull a machine's cable: nothing comes or goes, and nobody is told."""
        self._on_switch("link", "set", name, "down")

    def mend(self, name: str) -> None:
        """Plug a machine's cable in again."""
        self._on_switch("link", "set", name, "up")

    def throttle(self, name: str, rate: str) -> None:
        """Let no more than so much a second (`4mbit`) go to a machine."""
        limit = ("tbf", "rate", rate, "burst", "32kb", "latency", "400ms")
        _run("tc", "-n", self._switch, "qdisc", "replace", "dev", name, "root", *limit)

    def remove(self) -> None:
        """Remove everything; what still runs there loses its network."""
        if self._cable in ip("-brief", "link"):
            ip("link", "delete", self._cable)  # the kernel takes its time with a namespace's links
        _remove(self._own)

    def _plug(self, name: str) -> None:
        self._on_switch("link", "set", name, "master", "bridge", "up")

    def _on_switch(self, *words: str) -> None:
        ip("-n", self._switch, *words)


@contextmanager
def network() -> Iterator[Network]:
    """A network until the block ends; skips where root may not make one."""
    require("ip")
    require("tc")
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    sweep()
    made = Network()
    try:
        made.build()
        yield made
    finally:
        made.remove()


def left() -> list[str]:
    """Return the namespaces of tests that are there."""
    listed = ip("netns", "list").splitlines()
    return [line.split()[0] for line in listed if line.startswith(PREFIX)]


def sweep() -> None:
    """Remove what runs that were killed have left."""
    for name in left():
        pid = name.removeprefix(PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            _remove(name)


def _remove(beginning: str) -> None:
    for name in left():
        if name.startswith(beginning):
            ip("netns", "delete", name)


def ip(*words: str) -> str:
    """Run iproute2's `ip` and return what it printed; raises CalledProcessError."""
    return _run("ip", *words)


def _run(program: str, *words: str) -> str:
    done = subprocess.run(
        [require(program), *words], check=True, capture_output=True, text=True, timeout=20
    )
    return done.stdout
