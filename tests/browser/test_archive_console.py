"""The operator's pages on the real archive: what is decided on them is in force there."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Page, expect

from tests.browser.hospital import Hospital

WAIT_S = 60


def first_copied(page: Page) -> str:
    """Return the UID of a study that has a copy, once the archive has made one."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        page.goto("/archive/jobs/?kind=copy&state=done")
        uid = page.locator(".jobs .uid .mono").first
        if uid.count():
            return uid.inner_text()
        page.wait_for_timeout(500)
    raise AssertionError(page.locator("#live").inner_text())


def test_a_rule_is_tried_saved_put_out_of_force_and_removed(log_in, hospital: Hospital) -> None:
    page = log_in("archivist")
    first_copied(page)
    page.goto("/archive/rules/new/")
    page.get_by_label("Name").fill("Heads stay")
    page.get_by_label("What it does").select_option("hold")
    page.get_by_label("Reason").fill("teaching collection")
    page.get_by_label("Modalities").fill("ct")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("heading", name=re.compile("exams? meets?"))).to_be_visible()
    expect(page.locator(".outcome tbody tr").first).to_contain_text("CT")
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name=re.compile("Heads stay"))
    expect(row).to_contain_text("in force")
    row.get_by_role("link", name=re.compile("Out of force")).click()
    page.get_by_role("dialog").get_by_role("button").click()
    expect(row).to_contain_text("out of force")
    row.get_by_role("link", name=re.compile("Remove")).click()
    page.get_by_role("dialog").get_by_role("button").click()
    expect(row).to_have_count(0)


def test_a_hold_a_mark_and_a_window_are_in_force_and_told(log_in, hospital: Hospital) -> None:
    page = log_in("archivist")
    study = first_copied(page)
    node = page.locator(".jobs .tag.server").first.inner_text()
    page.goto(f"/archive/holds/?node={node}&study={study}")
    page.get_by_label("Reason").fill("court file 7")
    page.get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("court file 7"))).to_contain_text(study)
    page.goto("/archive/watermarks/")
    marks = page.get_by_role("form", name="RF")
    marks.get_by_label("Free from").fill("92.5")
    marks.get_by_role("button").click()
    expect(page.get_by_text("The marks of RF are saved.")).to_be_visible()
    expect(marks.get_by_label("Free from")).to_have_value("92.5")
    page.goto("/archive/schedule/")
    page.get_by_label("From").fill("01:00")
    page.get_by_label("To", exact=True).fill("05:30")
    page.get_by_label("Jobs", exact=True).select_option("scrub")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name=re.compile("Check a volume"))).to_contain_text("05:30")
    page.get_by_role("row", name=re.compile("Check a volume")).get_by_text("Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The window is removed.")).to_be_visible()
    page.goto("/archive/acts/")
    for told in ("held an exam", "changed a server's watermarks", "made a window"):
        expect(page.get_by_role("row", name=re.compile(told)).first).to_contain_text("archivist")


def test_a_volume_is_looked_at_marked_trusted_and_checked(log_in, hospital: Hospital) -> None:
    page = log_in("archivist")
    first_copied(page)
    page.goto("/archive/volumes/")
    page.locator("tbody .row-link").first.click()
    expect(page.locator("tbody tr").first).to_contain_text(re.compile("[0-9.]{10}"))
    for act in ("Mark as suspect…", "Trust again…", "Check…"):
        page.get_by_role("link", name=act).click()
        page.get_by_role("dialog").get_by_role("button").click()
        expect(page.locator(".notice.success")).to_be_visible()
    page.get_by_role("link", name="Jobs of this volume").click()
    scrub = page.locator("tr", has_text="Check a volume")
    expect(scrub.filter(has_text="done")).to_be_visible(timeout=WAIT_S * 1000)


def test_the_overview_shows_disks_and_vaults_and_no_trouble(log_in, hospital: Hospital) -> None:
    page = log_in("archivist")
    page.goto("/archive/")
    for name in (*hospital.nodes, "vault-1"):
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(page.locator("svg.plot.fill")).to_have_count(4)
    assert "Lefèvre" not in page.locator("main").inner_text()
