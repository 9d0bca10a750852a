"""A day of the archive's operator in a real browser: jobs, a volume from the shelf, a rule, a list.

The portal is real; the archive is the stand-in that has a hospital's troubles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.archive_desk import Desk, archive_desk, fill
from tests.browser.hospital import entered
from tests.browser.test_layout import overflow
from tests.browser.test_wcag import RULES

LABELLED = "/archive/volumes/vault-1/A00003/"
PAGES = [
    "/archive/", "/archive/alarms/", "/archive/jobs/", "/archive/jobs/21/", "/archive/recalls/",
    "/archive/mounts/", "/archive/volumes/", LABELLED, f"{LABELLED}retire/", f"{LABELLED}label/",
    "/archive/evictions/", "/archive/evictions/3/", "/archive/rules/", "/archive/rules/1/",
    "/archive/holds/", "/archive/watermarks/", "/archive/schedule/", "/archive/acts/",
]  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with archive_desk(tmp_path_factory.mktemp("desk")) as running:
        yield running


@pytest.fixture(scope="module")
def seat(browser: Browser, desk: Desk) -> Iterator[tuple[Page, list[str]]]:
    context = browser.new_context(
        base_url=desk.portal.url, bypass_csp=True, reduced_motion="reduce"
    )
    complaints: list[str] = []
    yield entered(context, desk, "archivist", complaints), complaints
    context.close()


@pytest.fixture
def page(
    seat: tuple[Page, list[str]], desk: Desk, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """The operator's page, the archive as it was in the morning; its console must stay clean."""
    page, complaints = seat
    desk.archive.jobs.clear()
    desk.archive.work.acts.clear()
    fill(desk.archive)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("about:blank")
    complaints.clear()
    yield page
    expected = request.node.get_closest_marker("console_errors")
    assert expected is not None or complaints == []


def test_jobs_are_filtered_ticked_and_cancelled_together(page: Page, desk: Desk) -> None:
    page.goto("/archive/jobs/")
    page.get_by_label("State").select_option("queued")
    page.get_by_role("button", name="Show").click()
    rows = page.locator(".jobs tbody tr")
    expect(rows).to_have_count(3)
    cancel = page.locator("#chosen").get_by_role("button", name="Cancel")
    expect(cancel).to_be_disabled()
    page.get_by_label("Tick job 18").check()
    page.get_by_label("Tick job 19").check()
    expect(page.get_by_text("2 ticked")).to_be_visible()
    desk.archive.jobs[-1]["error"] = "x"  # the list comes anew, and the ticks stay
    desk.archive.add("copy", "1.2.3", "queued")
    expect(rows).to_have_count(4)
    expect(page.get_by_label("Tick job 19")).to_be_checked()
    cancel.click()
    expect(page.get_by_role("heading", name="Cancel 2 jobs?")).to_be_visible()
    page.get_by_role("button", name="Yes, cancel").click()
    expect(page.get_by_text("2 jobs: cancelled.")).to_be_visible()
    expect(page).to_have_url(re.compile("state=queued"))
    expect(rows).to_have_count(2)


@pytest.mark.console_errors  # the answer to a wrong one is 409
def test_a_scanned_volume_is_confirmed_and_a_wrong_one_told(page: Page, desk: Desk) -> None:
    page.goto("/archive/mounts/")
    expect(page.get_by_text("Insert volume A00012 into drive 1")).to_be_visible()
    expect(page.locator("#id_barcode")).to_be_focused()
    page.keyboard.type("A00021")
    page.wait_for_timeout(3500)  # the list came anew; the field was left alone
    expect(page.locator("#id_barcode")).to_have_value("A00021")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("A00021 is not what is asked for")
    expect(page.locator("#id_barcode")).to_be_focused()
    page.keyboard.type("A00012")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you: volume A00012 is in its place.")).to_be_visible()
    expect(page.get_by_text("Nobody waits for a volume")).to_be_visible()


def test_a_rule_is_tried_and_then_saved(page: Page, desk: Desk) -> None:
    page.goto("/archive/rules/")
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Name").fill("Heads of last year")
    page.get_by_label("What it does").select_option("evict")
    page.get_by_label("CT", exact=True).check()
    page.get_by_label("Description holds").fill("crâne")
    page.get_by_label("Older than (days)").fill("365")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("heading", name="5 exams meet its conditions today")).to_be_focused()
    expect(page.get_by_text("held: legal (expertise), by archivist")).to_be_visible()
    assert all(rule["name"] != "Heads of last year" for rule in desk.archive.policy.rules)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The rule is saved.")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Heads of last year"))).to_contain_text(
        "described as “crâne”"
    )


def test_a_list_is_read_and_approved(page: Page, desk: Desk) -> None:
    page.goto("/archive/")
    page.get_by_role("link", name="See the list").click()
    expect(page.locator("tbody tr")).to_have_count(12)
    page.get_by_role("link", name="Approve…").click()
    dialogue = page.get_by_role("dialog")
    expect(dialogue).to_contain_text("verified copy in every required vault")
    expect(dialogue.get_by_role("link", name="Leave it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialogue).to_have_count(0)
    page.get_by_role("link", name="Approve…").click()
    dialogue.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("The list is approved: its jobs are queued.")).to_be_visible()
    assert desk.archive.policy.lists[0]["state"] == "approved"


def test_an_alarm_is_taken_on(page: Page, desk: Desk) -> None:
    page.goto("/archive/")
    page.get_by_role("button", name=re.compile("I look at it.*CR fills")).click()
    expect(page.get_by_text("You have taken the alarm on")).to_be_visible()
    expect(page.locator(".alarm-row").filter(has_text="CR fills")).to_contain_text(
        "archivist looks"
    )


@pytest.mark.console_errors
def test_a_portal_that_is_away_is_told_on_the_page(page: Page) -> None:
    page.goto("/archive/recalls/")
    expect(page.locator("#stale")).to_be_hidden()
    page.route("**/archive/recalls/**", lambda route: route.abort())
    expect(page.locator("#stale")).to_be_visible()
    page.unroute("**/archive/recalls/**")
    expect(page.locator("#stale")).to_be_hidden()


def test_a_printed_list_holds_the_studies_and_no_buttons(page: Page) -> None:
    page.goto("/archive/evictions/3/")
    page.emulate_media(media="print")
    expect(page.locator("tbody tr").first).to_be_visible()
    expect(page.locator(".topbar")).to_be_hidden()
    expect(page.locator(".tabs")).to_be_hidden()
    expect(page.get_by_role("link", name="Approve…")).to_be_hidden()
    page.goto(f"{LABELLED}label/")
    expect(page.locator(".tape-label")).to_be_visible()
    expect(page.get_by_role("heading")).to_have_count(0)
    page.emulate_media(media="screen")


@pytest.mark.slow
@pytest.mark.parametrize("address", PAGES)
def test_every_page_can_be_used_by_everybody_and_fits_every_screen(
    page: Page, address: str
) -> None:
    wrong: dict[str, str] = {}
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.goto(address)
        for found in Axe().run(page, options=RULES).response["violations"]:
            for node in found["nodes"]:
                wrong[f"{theme}: {found['id']} at {node['html'][:160]}"] = node["failureSummary"]
    assert wrong == {}
    for width in (1440, 1024, 768, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(address)
        assert overflow(page) <= 0, width


def test_the_archives_own_trouble_is_a_page_too(page: Page, desk: Desk) -> None:
    desk.archive.broken = "the catalogue is being rebuilt"
    try:
        page.goto("/archive/")
        expect(page.get_by_text("the catalogue is being rebuilt")).to_be_visible()
        desk.archive.broken = ""
        expect(page.get_by_role("heading", name="Vaults")).to_be_visible()  # by itself
    finally:
        desk.archive.broken = ""
