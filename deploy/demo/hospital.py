"""The plan of the demo, as data: its members, their ports and environments, its first day."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pacs_common.env import Env

ROOT = Path(__file__).resolve().parents[2]
MANAGE = str(ROOT / "manage.py")
LOOPBACK = "127.0.0.1"
PORTAL_PORT, ARCHIVE_PORT = 8000, 8200
PORTAL_URL = f"http://{LOOPBACK}:{PORTAL_PORT}"
ARCHIVE_URL = f"http://{LOOPBACK}:{ARCHIVE_PORT}"
MOVE_DESTINATIONS = f"DEMO_SCP={LOOPBACK}:11120"


@dataclass(frozen=True)
class Member:
    """One role of the hospital: what it is called, how it runs, which ports it serves."""

    name: str
    title: str
    argv: tuple[str, ...]
    http_port: int
    dicom_port: int | None = None
    ae_title: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def ports(self) -> dict[int, str]:
        """Return each port with what it is for."""
        ports = {self.http_port: f"{self.title} (HTTP)"}
        if self.dicom_port is not None:
            ports[self.dicom_port] = f"{self.title} (DICOM, {self.ae_title})"
        return ports


@dataclass(frozen=True)
class Errand:
    """A command that is run once, when all members are ready for the first time."""

    says: str
    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True)
class Hospital:
    """The members in the order they start, the errands of the first day, and of the viewer."""

    folder: Path
    members: tuple[Member, ...]
    first_day: tuple[Errand, ...]
    viewer: Errand | None = None
    ready_timeout_s: float = 120.0

    @property
    def portal(self) -> Member:
        """Return the member that people open in a browser."""
        return next(member for member in self.members if member.name == "portal")

    @property
    def accounts_file(self) -> Path:
        """Return where the portal writes the demo people's passwords and tokens."""
        return self.folder / "accounts.json"

    @property
    def day_marker(self) -> Path:
        """Return the file that says that the sample day is in the nodes."""
        return self.folder / "day" / "sent"

    def log_file(self, member: Member) -> Path:
        """Return where a member's output goes."""
        return self.folder / "logs" / f"{member.name}.log"


_NODES = (("CT", 8101, 11112), ("RF", 8102, 11113), ("CR", 8103, 11114))


def plan(env: Env) -> Hospital:
    """Return the hospital of docs' ports, in PACS_DEMO_DIR; raises SettingError."""
    folder = env.path("PACS_DEMO_DIR", "var/demo", "Folder that holds all the demo writes.")
    scale = env.number(
        "PACS_DEMO_SCALE", 0.05, "Size of the demo's sample day (1 is a full one).",
        low=0.0001, high=20,
    )  # fmt: skip
    quiet_s = env.integer("PACS_QUIET_S", 60, "Seconds after which the demo archives a study.")
    viewer_dir = env.text(
        "PACS_VIEWER_DIR", "~/.cache/argens/viewer",
        "Folder of the full viewer, fetched once for all demos.",
    )  # fmt: skip
    nodes = tuple(_node(folder, *node) for node in _NODES)
    portal = _portal(folder, Path(viewer_dir).expanduser().absolute())
    members = (*nodes, _archive(folder, quiet_s), portal)
    return Hospital(folder, members, _first_day(folder, scale, nodes), _viewer(portal))


def _node(folder: Path, name: str, http_port: int, dicom_port: int) -> Member:
    ae_title = f"ARGENS_{name}"
    own = {
        "PACS_NODE_NAME": name,
        "PACS_AE_TITLE": ae_title,
        "PACS_DICOM_BIND": LOOPBACK,
        "PACS_DICOM_PORT": str(dicom_port),
        "PACS_ACCEPT_LOOPBACK": "yes",
        "PACS_DEFAULT_ISSUER": "FREJUS",
        "PACS_MOVE_DESTINATIONS": MOVE_DESTINATIONS,
        "PACS_IN_USE_S": "10",  # who tries the archive has just looked at the exam
        "PACS_PORTAL_URL": PORTAL_URL,
    }
    slug = f"node-{name.lower()}"
    env = _env(folder, slug, http_port, own)
    argv = (sys.executable, MANAGE, "node", "run")
    return Member(slug, f"node {name}", argv, http_port, dicom_port, ae_title, env)


def _archive(folder: Path, quiet_s: int) -> Member:
    vaults = (
        f"vault-1=tape:{folder / 'archive' / 'vault'}?slots=12&mount_s=1&seek_s=0.2",
        f"second-site=disk:{folder / 'second-site'}",
    )
    own = {
        "PACS_NODES": _node_urls(),
        "PACS_QUIET_S": str(quiet_s),
        "PACS_VAULTS": ",".join(vaults),
    }
    env = _env(folder, "archive", ARCHIVE_PORT, own)
    argv = (sys.executable, MANAGE, "archive", "run")
    return Member("archive", "archive", argv, ARCHIVE_PORT, env=env)


def _portal(folder: Path, viewer_dir: Path) -> Member:
    own = {
        "PACS_NODES": _node_urls(),
        "PACS_ARCHIVE_URL": ARCHIVE_URL,
        "PACS_DEMO_ACCOUNTS_FILE": str(folder / "accounts.json"),
        "PACS_VIEWER_DIR": str(viewer_dir),
    }
    env = _env(folder, "portal", PORTAL_PORT, own)
    argv = (sys.executable, MANAGE, "web", "run")
    return Member("portal", "portal", argv, PORTAL_PORT, env=env)


def _env(folder: Path, slug: str, http_port: int, own: dict[str, str]) -> dict[str, str]:
    return {
        "PACS_DATA_DIR": str(folder / slug),
        "PACS_TRUST_DIR": str(folder / "trust"),
        "PACS_HTTP_BIND": LOOPBACK,
        "PACS_HTTP_PORT": str(http_port),
        **own,
    }


def _node_urls() -> str:
    return ",".join(f"{name}=http://{LOOPBACK}:{port}" for name, port, _ in _NODES)


def _first_day(folder: Path, scale: float, nodes: tuple[Member, ...]) -> tuple[Errand, ...]:
    day = folder / "day"
    command = (sys.executable, MANAGE, "node")
    make = (*command, "sample-day", "--out", str(day), "--scale", f"{scale:g}")
    errands = [Errand("Making a small day of exams", make, nodes[0].env)]
    for (source, _, port), node in zip(_NODES, nodes, strict=True):
        send = ("send", "--called", node.ae_title, "--calling", f"DEMO_{source}")
        argv = (*command, *send, LOOPBACK, str(port), str(day / source))
        errands.append(Errand(f"Sending it to {node.ae_title}", argv, node.env))
    return tuple(errands)


def _viewer(portal: Member) -> Errand:
    argv = (sys.executable, MANAGE, "web", "install-viewer")
    return Errand("Putting the full viewer (OHIF) in place", argv, portal.env)


def forget_foreign_settings() -> None:
    """Drop from this process what would send every member to one database or secret."""
    for name in list(os.environ):
        if name.startswith("PACS_") and name.endswith(
            ("_URL", "_KEY", "_FILE", "_SECRETS", "_PREFIX")
        ):
            del os.environ[name]
