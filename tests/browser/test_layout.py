"""The pages on the screens of a hospital: a desk, a phone, and paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

WIDTHS = [1280, 1024, 768, 360]


def overflow(page) -> int:
    """Return by how many pixels the page, or a table in it, is wider than what is seen."""
    return page.evaluate(
        """() => Math.max(...[document.documentElement, ...document.querySelectorAll('.table-card')]
             .map((box) => box.scrollWidth - box.clientWidth))"""
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_of_a_clinician_is_wider_than_the_screen(log_in, width: int):
    page = log_in("clinician")
    page.set_viewport_size({"width": width, "height": 760})
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("tr[data-href]").first).to_be_visible()
    assert overflow(page) <= 0
    page.locator("tr[data-href] a").first.click()
    expect(page.locator(".series-card").first).to_be_visible()
    assert overflow(page) <= 0
    page.locator(".series-card").first.click()
    expect(page.locator("#viewer[data-ready]")).to_be_visible()
    assert overflow(page) <= 0
    page.get_by_role("link", name="Header").click()
    expect(page.locator("#elements")).to_be_visible()
    assert overflow(page) <= 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("person", ["it", "archivist"])
def test_no_page_of_the_operators_is_wider_than_the_screen(log_in, person: str, width: int):
    page = log_in(person)
    page.set_viewport_size({"width": width, "height": 760})
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_printed_exam_holds_the_patient_and_no_buttons(log_in):
    page = log_in("clinician")
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator("tr[data-href] a").first.click()
    page.emulate_media(media="print")
    expect(page.locator(".patient-name")).to_be_visible()
    expect(page.locator(".topbar")).to_be_hidden()
    expect(page.get_by_text("Download", exact=True)).to_be_hidden()
