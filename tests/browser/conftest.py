"""What browser tests share: the hospital, the browser, and pages of people who have logged in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pydicom.config
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.extra_exams import Exam
from tests.browser.hospital import (
    Hospital,
    chromium,
    entered,
    extra_exam,
    running_hospital,
)

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
expect.set_options(timeout=15_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test the time in which a hospital opens: a time-out ends the browser too."""
    for item in items:
        item.add_marker(pytest.mark.timeout(300), append=False)


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Three nodes, the archive and the portal, with the day's exams."""
    with running_hospital(tmp_path_factory.mktemp("hospital")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def exam(hospital: Hospital) -> Exam:
    """An exam with everything that the sample day lacks."""
    return extra_exam(hospital)


@dataclass
class Desk:
    """A page that a module's tests share, logged in once, and what its console said."""

    page: Page
    complaints: list[str]


@pytest.fixture(scope="module")
def desk(browser: Browser, hospital: Hospital) -> Iterator[Desk]:
    """A clinician's page: its cache and its session stay from test to test."""
    context = browser.new_context(base_url=hospital.portal.url)
    complaints: list[str] = []
    yield Desk(entered(context, hospital, "clinician", complaints), complaints)
    context.close()


@pytest.fixture
def reader(desk: Desk, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The shared page without another test's routes and sizes; its console must be clean."""
    desk.page.set_viewport_size({"width": 1280, "height": 720})
    desk.page.goto("about:blank")  # what an earlier test's page still had to say is said
    desk.complaints.clear()
    yield desk.page
    desk.page.unroute_all(behavior="ignoreErrors")
    expected = request.node.get_closest_marker("console_errors")
    assert expected is not None or desk.complaints == []


@pytest.fixture
def log_in(browser: Browser, hospital: Hospital, request: pytest.FixtureRequest):
    """Open a page of the portal as one of the demo people; what the console says must be clean."""
    opened = []
    complaints: list[str] = []

    def log_in(name: str) -> Page:
        context = browser.new_context(base_url=hospital.portal.url, accept_downloads=True)
        opened.append(context)
        return entered(context, hospital, name, complaints)

    yield log_in
    for context in opened:
        context.close()
    expected = request.node.get_closest_marker("console_errors")
    assert expected is not None or complaints == []
