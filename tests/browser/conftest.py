"""A whole hospital of real processes, filled with a sample day, and a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom.config
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import roles
from tests.support.services import require

SCALE = "0.03"
SOURCES = ("CT", "RF", "CR")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
expect.set_options(timeout=15_000)


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


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Three nodes, the archive and the portal, with the day's exams sent by C-STORE."""
    folder = tmp_path_factory.mktemp("hospital")
    nodes = {name: roles.node(folder, name) for name in SOURCES}
    archive = roles.archive(folder, nodes)
    portal = roles.portal(folder, nodes, archive.url)
    with roles.running(*nodes.values(), archive, portal):
        day = folder / "day"
        made = nodes["CT"].command("sample-day", "--out", str(day), "--scale", SCALE)
        assert made.returncode == 0, made.stderr
        for name, node in nodes.items():
            sent = node.command("send", "127.0.0.1", str(node.dicom_port), str(day / name))
            assert sent.returncode == 0, sent.stderr
        yield Hospital(folder, day, nodes, portal, archive)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=flags)
        yield browser
        browser.close()


@pytest.fixture
def log_in(browser: Browser, hospital: Hospital, request: pytest.FixtureRequest):
    """Open a page of the portal as one of the demo people; what the console says must be clean."""
    opened = []
    complaints: list[str] = []

    def log_in(name: str) -> Page:
        context = browser.new_context(base_url=hospital.portal.url, accept_downloads=True)
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/login/")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(hospital.password(name))
        page.get_by_role("button", name="Log in").click()
        return page

    yield log_in
    for context in opened:
        context.close()
    expected = request.node.get_closest_marker("console_errors")
    assert expected is not None or complaints == []
