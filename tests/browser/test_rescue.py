"""The node's rescue page in a real browser, past the portal: from the envelope to the header.

With WCAG 2.2 AA as axe-core judges it, in both themes, at the size of a desk and of a phone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.hospital import Hospital
from tests.browser.test_wcag import RULES
from tests.support import roles

pytestmark = pytest.mark.slow
REASON = "Portal down, stroke in the emergency room"
SCREENS = {"desk": (1280, 800), "phone": (390, 844)}


@pytest.fixture(scope="module")
def node(hospital: Hospital) -> roles.Role:
    """The node that is asked past the portal."""
    return hospital.nodes["CT"]


@pytest.fixture(scope="module")
def envelope(node: roles.Role) -> Iterator[str]:
    """The passphrase that the command prints; the account is gone again afterwards."""
    made = node.command("rescue-account")
    assert made.returncode == 0, made.stderr
    yield re.search(r"^ +([A-Z0-9-]{23})$", made.stdout, re.MULTILINE)[1]
    assert node.command("rescue-account", "--remove").returncode == 0


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Every address that the pages asked for."""
    return []


@pytest.fixture(scope="module")
def desk(
    browser: Browser, node: roles.Role, envelope: str, asked: list[str]
) -> Iterator[tuple[Page, list[str]]]:
    """A page of one who opened the envelope, and what its console said."""
    context = browser.new_context(base_url=node.url, locale="en")
    page, complaints = context.new_page(), []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/rescue/")
    expect(page.get_by_role("heading", name="Emergency access")).to_be_visible()
    page.get_by_label("Passphrase").fill(envelope.lower())
    page.get_by_label("Who you are").fill("Dr Martin")
    page.get_by_label("Why you need this").fill(REASON)
    page.get_by_role("button", name="Break the seal").click()
    expect(page.get_by_role("heading", name="Search this node")).to_be_visible()
    yield page, complaints
    context.close()


def test_an_exam_is_found_and_looked_at_past_the_portal(
    desk: tuple[Page, list[str]], node: roles.Role, asked: list[str]
) -> None:
    page, complaints = desk
    expect(page.locator(".degraded")).to_contain_text("Emergency access on node CT")
    _open_an_exam(page)
    page.locator(".series-card").first.click()
    page.locator(".sheet-image").first.click()
    picture = page.locator(".viewer-picture img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".place")).to_contain_text("2 /")
    page.get_by_role("link", name="Bone").click()
    expect(page.locator(".chip-link[aria-current]")).to_have_text("Bone")
    page.get_by_role("link", name="Header").click()
    expect(page.locator(".elements")).to_contain_text("Patient's Name")
    assert complaints == []
    assert {url.split("/rescue/")[0] for url in asked if "data:" not in url} == {node.url}


def test_the_servers_page_tells_that_the_seal_is_broken(
    desk: tuple[Page, list[str]], log_in: Callable[[str], Page]
) -> None:
    page = log_in("it")
    page.goto("/servers/")
    expect(page.locator(".server-card", has_text="emergency account was broken")).to_have_count(1)


@pytest.mark.parametrize(("screen", "theme"), [("desk", "light"), ("phone", "dark")])
def test_every_page_can_be_used_by_everybody(
    browser: Browser, desk: tuple[Page, list[str]], node: roles.Role, screen: str, theme: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    width, height = SCREENS[screen]
    context = browser.new_context(
        base_url=node.url, bypass_csp=True, color_scheme=theme, reduced_motion="reduce",
        viewport={"width": width, "height": height}, locale="fr",
        storage_state=desk[0].context.storage_state(),
    )  # fmt: skip
    page, wrong = context.new_page(), {}
    for name in _each_page(page):
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{name} is wider than the screen by {overflow}"
        for found in Axe().run(page, options=RULES).response["violations"]:
            for one in found["nodes"]:
                wrong[f"{name}: {found['id']} at {one['html'][:160]}"] = one["failureSummary"]
    context.close()
    assert wrong == {}


def _each_page(page: Page) -> Iterator[str]:
    """Go through all the pages by their links."""
    page.goto("/rescue/login/")
    yield "login"
    page.goto("/rescue/")
    yield "search"
    _open_an_exam(page)
    yield "exam"
    page.locator(".series-card").first.click()
    page.wait_for_load_state("networkidle")
    yield "series"
    page.locator(".sheet-image").first.click()
    yield "image"
    page.locator("a[href$='/header/']").click()
    yield "header"
    page.goto("/rescue/studies/1.2.3/")
    yield "error"


def _open_an_exam(page: Page) -> None:
    """Open the exam of the most images: a CT."""
    rows = page.locator("tbody tr")
    counts = [int(text) for text in page.locator("tbody td.num").all_inner_texts()]
    rows.nth(counts.index(max(counts))).locator(".row-link").click()
    expect(page.locator(".series-card").first).to_be_visible()
