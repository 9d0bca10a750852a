"""The viewer when it is hurried, cut off from its node, or left by its session."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.extra_exams import Exam


@pytest.fixture
def viewer(reader: Page, exam: Exam) -> Page:
    """A stack of CT images, opened."""
    return opened(reader, exam)


def opened(page: Page, exam: Exam) -> Page:
    page.goto(exam.image(1))
    expect(page.locator("#viewer[data-ready]")).to_be_visible()
    return page


def answer_or_not(route: Route, silent: threading.Event) -> None:
    """Let the request through, or answer as the portal does for a node that is silent."""
    if silent.is_set():
        route.fulfill(status=502, body="")
    else:
        route.continue_()


def count(page: Page) -> int:
    return int(page.locator("#slider").get_attribute("max"))


def test_hurried_scrolling_seldom_writes_the_address_and_ends_at_the_last_image(viewer: Page):
    viewer.evaluate(
        """() => { window.written = 0; const real = history.replaceState;
             history.replaceState = function (...given) {
               window.written += 1; real.apply(this, given); } }"""
    )
    last = count(viewer)
    for _ in range(3):
        for key in ["ArrowDown"] * (last - 1) + ["ArrowUp"] * (last - 1):
            viewer.keyboard.press(key)
    viewer.keyboard.press("End")
    expect(viewer.locator("#caption-slice")).to_have_text(f"{last} / {last}")
    expect(viewer.locator("#film img")).to_have_count(1)
    expect(viewer.locator("#message")).to_be_hidden()
    viewer.wait_for_timeout(600)
    assert viewer.evaluate("window.written") < 20  # browsers refuse a hundred within seconds
    href = viewer.locator("#header-link").get_attribute("href")
    assert viewer.evaluate("location.pathname") == href.removesuffix("header/")


def test_going_back_at_once_to_an_image_that_was_given_up_shows_it(viewer: Page):
    viewer.evaluate(
        """() => { const go = (key) => document.body.dispatchEvent(
               new KeyboardEvent('keydown', { key, bubbles: true }));
             go('End'); go('Home'); go('End'); }"""
    )
    last = count(viewer)
    expect(viewer.locator("#caption-slice")).to_have_text(f"{last} / {last}")
    expect(viewer.locator("#busy")).to_be_hidden()


@pytest.mark.console_errors
def test_an_ended_session_says_so_on_the_stage_and_stops_the_loop(log_in, exam: Exam):
    viewer = opened(log_in("clinician"), exam)
    viewer.keyboard.press("End")
    expect(viewer.locator("#caption-slice")).to_have_text("20 / 20")
    viewer.context.clear_cookies()
    viewer.keyboard.press("3")
    viewer.keyboard.press("Space")
    expect(viewer.locator("#message-text")).to_contain_text("session has ended")
    expect(viewer.get_by_role("button", name="Play").first).to_have_attribute(
        "aria-pressed", "false"
    )
    link = viewer.get_by_role("link", name="Log in again")
    expect(link).to_be_visible()
    link.click()
    viewer.wait_for_url("**/login/**")


@pytest.mark.console_errors
def test_a_silent_node_is_told_on_the_stage_and_the_viewer_lives_on(viewer: Page):
    silent = threading.Event()
    viewer.route("**/rendered*", lambda route: answer_or_not(route, silent))
    viewer.reload()  # a page that is there already may send its next request past a new route
    expect(viewer.locator("#viewer[data-ready]")).to_be_visible()
    silent.set()
    viewer.keyboard.press("End")
    expect(viewer.locator("#message-text")).to_contain_text("does not answer")
    silent.clear()
    viewer.keyboard.press("Home")
    expect(viewer.locator("#message")).to_be_hidden()


def test_what_is_typed_into_the_headers_search_stays_out_of_the_address(viewer: Page):
    viewer.get_by_role("link", name="Header").click()
    box = viewer.get_by_role("searchbox")
    box.fill("Patient's Name")
    box.press("Enter")
    expect(viewer.locator("#found")).to_contain_text("of")
    assert "Name" not in viewer.url and "?" not in viewer.url
    expect(viewer.locator("#elements .element:visible", has_text="(0010,0010)")).to_have_count(1)


@pytest.mark.console_errors
def test_a_polled_part_of_a_page_leads_to_the_login_when_the_session_ended(log_in):
    page = log_in("archivist")
    expect(page.locator("#live")).to_be_visible()
    page.context.clear_cookies()
    page.wait_for_url("**/login/**", timeout=8000)
    assert page.url.endswith("next=/archive/")
