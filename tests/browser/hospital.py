"""A whole hospital of real processes, filled with a sample day, and a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, sync_playwright

from tests.browser.extra_exams import Exam, Maker
from tests.support import roles
from tests.support.services import require

SCALE = "0.03"
SOURCES = ("CT", "RF", "CR")
VIEWER_DIR = Path.home() / ".cache" / "argens" / "viewer"  # the demo's: fetched once
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
WITHOUT_GL = "--disable-gpu"  # our own pages need none, and software for it is slow
# A full viewer draws with WebGL; here without a graphics card.
SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


@dataclass
class Hospital:
    """The running roles, and the files that were sent into them."""

    folder: Path
    day: Path
    nodes: dict[str, roles.Role]
    portal: roles.Role
    archive: roles.Role

    def password(self, name: str) -> str:
        """Return a demo person's password."""
        return roles.accounts(self.folder)[name]["password"]


@contextmanager
def running_hospital(folder: Path) -> Iterator[Hospital]:
    """Three nodes, the archive and the portal, with the day's exams sent by C-STORE."""
    nodes = {name: roles.node(folder, name) for name in SOURCES}
    archive = roles.archive(folder, nodes)
    portal = roles.portal(folder, nodes, archive.url, PACS_VIEWER_DIR=str(VIEWER_DIR))
    with roles.running(*nodes.values(), archive, portal):
        day = folder / "day"
        made = nodes["CT"].command("sample-day", "--out", str(day), "--scale", SCALE)
        assert made.returncode == 0, made.stderr
        for name, node in nodes.items():
            send(node, day / name)
        yield Hospital(folder, day, nodes, portal, archive)


def send(node: roles.Role, folder: Path) -> None:
    """Send the files of a folder to a node by C-STORE."""
    sent = node.command("send", "127.0.0.1", str(node.dicom_port), str(folder))
    assert sent.returncode == 0, sent.stderr


def extra_exam(hospital: Hospital) -> Exam:
    """Send an exam with everything that the sample day lacks, and return it."""
    source = min((hospital.day / "CT").rglob("*.dcm"))
    folder = hospital.folder / "extra-exam"
    made = Maker(source, folder).make()
    send(hospital.nodes["CT"], folder)
    return made


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright, launched(playwright.chromium, WITHOUT_GL) as browser:
        yield browser


@contextmanager
def launched(kind: BrowserType, *flags: str) -> Iterator[Browser]:
    """Debian's Chromium, with flags of one's own."""
    browser = kind.launch(executable_path=require("chromium"), args=[*FLAGS, *flags])
    yield browser
    browser.close()


def entered(context: BrowserContext, hospital: Hospital, name: str, complaints: list[str]) -> Page:
    """Return a page of one who has logged in; what its console says is added to `complaints`."""
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/login/")
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(hospital.password(name))
    page.locator("button.primary[type=submit]").click()
    page.wait_for_url(lambda address: "/login/" not in address)
    return page
