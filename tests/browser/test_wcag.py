"""WCAG 2.2 AA of every page, light and dark, as axe-core judges it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.every_page import PLACES, Place
from tests.browser.extra_exams import Exam
from tests.browser.hospital import Hospital, entered

pytestmark = pytest.mark.slow
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
}


@pytest.fixture(scope="module")
def pages(browser: Browser, hospital: Hospital) -> Iterator[dict[str, Page]]:
    """A page for each person; axe is put into them past their policy, which forbids it."""
    opened: dict[str, Page] = {}
    for person in sorted({place.person for place in PLACES}):
        context = browser.new_context(
            base_url=hospital.portal.url, bypass_csp=True, reduced_motion="reduce"
        )
        opened[person] = entered(context, hospital, person, []) if person else context.new_page()
    yield opened
    for page in opened.values():
        page.context.close()


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_page_can_be_used_by_everybody(place: Place, pages: dict[str, Page], exam: Exam) -> None:
    page = pages[place.person]
    wrong: dict[str, str] = {}
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        place.go(page, exam)  # anew: colours that change under way are neither theme's
        for found in Axe().run(page, options=RULES).response["violations"]:
            for node in found["nodes"]:
                where = f"{found['id']} at {node['html'][:160]}"
                wrong.setdefault(where, f"{theme}: {node['failureSummary'].splitlines()[-1]}")
    assert wrong == {}
